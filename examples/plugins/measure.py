"""A measure of one's own: whether the right class is among the two likeliest."""

from torch import Tensor, nn

import satdsl.plugin as sat


@sat.measure(forward="1", share=True)
def top2(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The share of images whose class is one of the two with the largest logits."""
    return (network(images).topk(2, dim=1).indices == labels[:, None]).any(1)
