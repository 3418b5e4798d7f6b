import satdsl.plugin as sat


@sat.attack(passes="2*stps")
def mine(network, images, labels, *, steps: int = 10):
    return images


@sat.attack(passes=10)
def one(network, images, labels):
    return images


@sat.attack(passes="steps.bit_length()")
def two(network, images, labels, *, steps: int = 10):
    return images


@sat.attack(norm="L0")
def three(network, images, labels, *, eps: sat.Radius):
    return images
