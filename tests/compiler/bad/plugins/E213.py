import satdsl.plugin as sat


@sat.attack(passes="steps")
def pgd(network, images, labels, *, norm: sat.Norm, eps: sat.Radius, steps: int = 10):
    return images


@sat.attack(passes="steps")
def twice(network, images, labels, *, norm: sat.Norm, eps: sat.Radius, steps: int = 10):
    return images


@sat.attack(passes="steps")
def twice(network, images, labels, *, norm: sat.Norm, eps: sat.Radius, steps: int = 10):
    return images


@sat.attack(passes="steps")
def PGD(network, images, labels, *, norm: sat.Norm, eps: sat.Radius, steps: int = 10):
    return images
