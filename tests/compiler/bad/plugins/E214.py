import satdsl.plugin as sat


from typing import Annotated


@sat.atack
def mine(network, images, labels):
    return images


@sat.attack(pases="1")
def one(network, images, labels):
    return images


@sat.attack("1")
def two(network, images, labels):
    return images


@sat.attack
def three(network, images, labels, *, steps: Annotated[int, sat.Abov(0)]):
    return images


@sat.Norm
def four(network, images, labels):
    return images


@sat.attack
def five(network, images, labels, *, words: Annotated[str, sat.Above(0)]):
    return images
