"""The cross-entropy of the image the network is trained on, which is the adversarial one where the subset is
attacked.
"""

from satdsl.catalog.losses import LossEntry

ENTRY = LossEntry(
    "cross_entropy",
    __doc__,
    formula="-ln p_y(x')",
    source="Madry et al., 2018 (of adversarial images)",
    place=1,
    plain=True,
    of_mixed=True,
)
