import satdsl.plugin as sat


from typing import Annotated

STEPS = 10


@sat.attack
def mine(network, images, labels, *, steps: int = STEPS):
    return images


@sat.attack
def one(network, images, labels, *, steps: int = 2.5):
    return images


@sat.attack
def two(network, images, labels, *, steps: int = None):
    return images


@sat.attack
def three(network, images, labels, *, steps: Annotated[int, sat.AtLeast(1)] = 0):
    return images
