"""Say what other people call the layers of our architectures: regular expressions, and our names.

An empty name drops a weight. `blocks.2+1` is block 1 of stage 2; our blocks are counted through all stages.
"""

from satdsl.weight_files.matching import Names

LAST = (r"^(linear|last|last_linear|classifier|output|head)\.", "fc.")
"""The last layer."""

SMALL_CNN: Names = (LAST,)

PREACT: Names = (
    (r"^layer(\d)\.(\d+)\.", r"blocks.\1+\2."),
    (r"^block(\d)\.layer\.(\d+)\.", r"blocks.\1+\2."),
    (r"^sub_block1\..*", ""),
    (r"^layer(?:_(\d)|\.(\d)\.block)\.(\d+)\.", r"blocks.\1\2+\3."),
    (r"^(init_conv|conv_2d)\.", "conv1."),
    (r"\.batchnorm_0\.", ".bn1."),
    (r"\.batchnorm_1\.", ".bn2."),
    (r"\.(conv_0|conv_2d_1)\.", ".conv1."),
    (r"\.(conv_1|conv_2d_2)\.", ".conv2."),
    (r"^batchnorm\.", "bn."),
    (r"^logits\.", "fc."),
    (r"\.(shortcut\.0|convShortcut)\.", ".shortcut."),
    (r"^bn1\.", "bn."),
    LAST,
)
"""Names of kuangliu's pre-activation ResNets with a last batch norm, as in the code of Rice et al. (2020), and of the
wide ResNet of Zhang et al. (TRADES, 2019), which has an unused `sub_block1`; DeepMind's wide and pre-activation ResNets
(Gowal et al., 2020)."""

RESNET: Names = ((r"\.shortcut\.", ".downsample."), LAST)
"""Names of kuangliu's ResNets for CIFAR."""

TORCHVISION: Names = ((r"^(AuxLogits|aux1|aux2|aux_classifier)\..*", ""),)
"""Auxiliary classifiers take no part in the logits."""
