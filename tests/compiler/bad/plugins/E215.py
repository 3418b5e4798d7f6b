import satdsl.plugin as sat


@sat.attack
def mine(network, images, labels, steps: int):
    return images


@sat.attack
def one(net, images, labels):
    return images


@sat.attack
def two(network, images, labels, **more: float):
    return images


@sat.attack
def three(network, images):
    return images
