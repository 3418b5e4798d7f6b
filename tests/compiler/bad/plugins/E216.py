import satdsl.plugin as sat


from typing import Literal


@sat.attack
def mine(network, images, labels, *, steps):
    return images


@sat.attack
def one(network, images, labels, *, start: dict[str, int]):
    return images


@sat.attack
def two(network, images, labels, *, norm: sat.Norm, radius: sat.Radius):
    return images


@sat.attack
def three(network, images, labels, *, eps: sat.Radius):
    return images


@sat.attack
def four(network, images, labels, *, name: str):
    return images


@sat.attack
def five(network, images, labels, *, order: Literal[1, 2]):
    return images
