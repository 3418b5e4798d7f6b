"""A network out of RobustBench's package (`pip install robustbench`)."""

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

from torch import nn

import satdsl.plugin as sat


@sat.model
def dm_wide_resnet(classes: int, channels: int, *, depth: int = 28, width: int = 10) -> nn.Module:
    """RobustBench's DMWideResNet with SiLU (Gowal et al., 2020); the normalisation is left to satdsl."""
    package = find_spec("robustbench")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("robustbench is not installed", name="robustbench")
    # The file alone, since the package imports what every one of its networks needs.
    file = Path(package.origin).parent / "model_zoo/architectures/dm_wide_resnet.py"
    spec = spec_from_file_location("dm_wide_resnet", file)
    theirs = module_from_spec(spec)
    spec.loader.exec_module(theirs)
    plain = {"mean": (0.0,) * channels, "std": (1.0,) * channels}
    return theirs.DMWideResNet(classes, depth, width, nn.SiLU, num_input_channels=channels, **plain)
