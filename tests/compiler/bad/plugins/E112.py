import satdsl.plugin as sat


class Attacks:
    @sat.attack
    def mine(network, images, labels, *, norm: sat.Norm, eps: sat.Radius):
        return images


@sat.attack
async def other(network, images, labels):
    return images
