"""A network of one's own: convolutions with SiLU, and as many of them as one likes."""

from torch import nn

import satdsl.plugin as sat


@sat.model
def silu_net(classes: int, channels: int, *, width: int = 8, depth: int = 2) -> nn.Module:
    """Plain convolutions with batch norm and SiLU, which has a second derivative where ReLU has none."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.SiLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, classes))
