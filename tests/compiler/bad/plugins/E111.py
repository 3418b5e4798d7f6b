import circle
import satdsl.plugin as sat


@sat.attack(passes="steps")
def mine(network, images, labels, *, norm: sat.Norm, eps: sat.Radius, steps: int = 10):
    return images
