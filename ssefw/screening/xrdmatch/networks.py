"""Convolutional networks that read a powder pattern and answer with a number for each class.

`vgg11` is XRDMatch's: four blocks of two convolutions (kernels of 16, 12, 8, 4 points; 64, 128,
256, 512 channels) and three linear layers, 11.6 million weights for 4,501 points. `small` is the
default: three strided convolutions and two linear layers, 18 thousand weights, about 800 times
cheaper on 181 points (docs/xrdmatch.md).
"""

import torch
from torch import Tensor, nn

from ssefw.errors import ConfigurationError

__all__ = ["NETWORKS", "make_network"]

DROPOUT = 0.5
VGG_BLOCKS = ((64, 16), (128, 12), (256, 8), (512, 4))
SMALL_LAYERS = ((16, 9, 4), (32, 5, 2), (32, 3, 2))  # channels, kernel, stride
SMALL_POOLED = 6
NETWORKS = ("small", "vgg11", "vgg11_code")


def make_network(name: str, size: int) -> nn.Module:
    """Return an untrained network for patterns of `size` points: (n, size) to (n, 2).

    ``vgg11`` ends in layers of 1,024, 1,024 and 2 as in the paper, ``vgg11_code`` in 1,024, 256
    and 2 as in the authors' program.

    Raises
    ------
    ConfigurationError
        If there is no such network, or patterns are too short for it.
    """
    hidden: tuple[int, ...]
    if name == "small":
        features, hidden = _small(), (64,)
    elif name == "vgg11":
        features, hidden = _vgg(), (1024, 1024)
    elif name == "vgg11_code":
        features, hidden = _vgg(), (1024, 256)
    else:
        raise ConfigurationError(f"Unknown network {name!r}. Known: {', '.join(NETWORKS)}.")
    return _Reader(features, _head(_width(features, name, size), hidden))


class _Reader(nn.Module):
    """Convolutions over the points, then linear layers over all that they found."""

    def __init__(self, features: nn.Sequential, head: nn.Sequential) -> None:
        super().__init__()
        self.features = features
        self.head = head

    def forward(self, patterns: Tensor) -> Tensor:
        found: Tensor = self.head(self.features(patterns[:, None]).flatten(1))
        return found


def _small() -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 1
    for width, kernel, stride in SMALL_LAYERS:
        layers += [
            nn.Conv1d(before, width, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        ]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveMaxPool1d(SMALL_POOLED), nn.Dropout(DROPOUT))


def _vgg() -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 1
    for width, kernel in VGG_BLOCKS:
        for stride in (2, 1):
            layers += [
                nn.Conv1d(before, width, kernel, stride, padding=1),
                nn.BatchNorm1d(width),
                nn.ReLU(),
            ]
            before = width
        layers += [nn.MaxPool1d(2), nn.Dropout(DROPOUT)]
    return nn.Sequential(*layers)


def _head(width: int, hidden: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(DROPOUT)]
        width = size
    head = nn.Sequential(*layers, nn.Linear(width, 2))
    for layer in head:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return head


def _width(features: nn.Sequential, name: str, size: int) -> int:
    """Return how many numbers the convolutions make of one pattern."""
    features.eval()
    try:
        with torch.no_grad():
            width = features(torch.zeros(1, 1, size)).numel()
    except RuntimeError as error:
        raise ConfigurationError(
            f"Patterns of {size} points are too short for the network {name!r}. Sample them more "
            "finely (bin_width=0.02), or take the network 'small'."
        ) from error
    features.train()
    return int(width)
