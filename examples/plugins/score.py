"""A difficulty score of one's own: how unsure the network is of an image."""

from torch import Tensor, nn

import satdsl.plugin as sat


@sat.score(forward="1")
def gini(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The chance that two draws from the predicted probabilities differ: 1 - sum_k p_k^2 (Gini, 1912)."""
    return 1 - network(images).softmax(1).square().sum(1)
