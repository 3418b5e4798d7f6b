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


@sat.dataset(classes=("cat", "cat"), shape=(1, 8), train=0, val="2*m", mean=("a",), std=(1, 1))
def four(part):
    return None


@sat.dataset(classes=10, shape=(1, 8, 8), val=10)
def five(part):
    return None
