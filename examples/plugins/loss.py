"""A loss of one's own: the focal loss."""

from torch import Tensor
from torch.nn import functional as F

import satdsl.plugin as sat


@sat.loss
def focal(logits: Tensor, labels: Tensor, *, gamma: float = 2.0) -> Tensor:
    """The cross-entropy times (1 - p_y)^gamma, so that what is right by far counts little (Lin et al., 2017)."""
    cross_entropy = F.cross_entropy(logits, labels, reduction="none")
    return (1 - (-cross_entropy).exp()) ** gamma * cross_entropy
