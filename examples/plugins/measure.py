"""A measure of one's own: how sure the network is of the right class."""

from torch import Tensor, nn

import satdsl.plugin as sat


@sat.measure(forward="1", share=True)
def certainty(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The probability of the right class."""
    return network(images).softmax(1).gather(1, labels[:, None]).squeeze(1)
