"""AtomSets: dense layers on every site, a weighted readout, dense layers, a logit.

Several networks of one shape are trained and evaluated at a time: every parameter has a leading
axis, one entry for each member of the ensemble. Small matrices in a loop would leave a CPU idle.

Chen and Ong, npj Comput. Mater. 7, 173 (2021), https://doi.org/10.1038/s41524-021-00639-w;
Vinyals et al. (2016), https://arxiv.org/abs/1511.06391
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ssefw.errors import ConfigurationError
from ssefw.screening.atomsets.sources import WeightedSet

__all__ = [
    "PAPER",
    "AtomSetBatch",
    "NetworkConfig",
    "Parameters",
    "initial_parameters",
    "logits",
    "network_configs",
    "predict",
    "varied_configs",
]

Parameters = dict[str, Tensor]
READOUT_STEPS = 3
PAPER: dict[str, Any] = {"pooling": "set2set", "smoothing": 0.0}
"""Settings of `NetworkConfig` in which the published networks differ most from the default."""
COUNTS = {
    "layers": 1,
    "neurons": 1,
    "site_layers": 0,
    "readout": 1,
    "batch": 1,
    "epochs": 1,
    "patience": 1,
}
LARGEST = 1e6
"""No setting of a network that fits into memory and learns is larger."""
SHARES = {"dropout", "dropout_final", "smoothing"}
WORDS = {
    "optimizer": ("adam", "lamb"),
    "pooling": ("set2set", "mean", "statistics"),
    "stop": ("loss", "auc_pr"),
}


@dataclass(frozen=True)
class NetworkConfig:
    """Shape and training of a network; the defaults are small, as label sets are.

    They are what did best on clusters of chemistry that were left out, not what was published:
    `PAPER` has the readout and the labels of McHaffie et al. 2025.

    Attributes
    ----------
    layers, neurons
        Dense layers before and after the readout, and their width.
    site_layers
        Dense layers before the readout where they are not as many as after it; 0 reads out the
        site vectors themselves.
    readout
        Width of the set2set readout (512 in the paper's code).
    pooling
        ``set2set`` is the paper's readout; ``mean`` the weighted mean; ``statistics`` weighted
        mean, standard deviation, smallest and largest of each component, as the trees see them.
    dropout, dropout_final
        Share of activations that is dropped before and after the readout.
    l2, l2_final
        Weight of the squared weights before and after the readout.
    noise
        Standard deviation of what is added to scaled site vectors in training.
    smoothing
        Share by which a class is drawn to one half in training.
    optimizer
        ``lamb`` is the paper's: LAMB with Lookahead under a triangular-2 cyclic rate between
        `rate` and `rate_max`; ``adam`` has a constant `rate`.
    batch
        Materials in a step.
    epochs
        Largest number.
    patience
        Epochs without a better validation after which a member stops.
    stop
        What is better: a smaller ``loss``, or a larger ``auc_pr`` as in the paper's code.
    """

    layers: int = 2
    neurons: int = 32
    site_layers: int | None = None
    readout: int = 16
    pooling: Literal["set2set", "mean", "statistics"] = "statistics"
    dropout: float = 0.1
    dropout_final: float = 0.2
    l2: float = 1e-4
    l2_final: float = 1e-4
    noise: float = 0.0
    smoothing: float = 0.2
    optimizer: Literal["adam", "lamb"] = "adam"
    rate: float = 3e-3
    rate_max: float = 5e-3
    batch: int = 128
    epochs: int = 120
    patience: int = 30
    stop: Literal["loss", "auc_pr"] = "loss"

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> "NetworkConfig":
        """Return a configuration from JSON values.

        Raises
        ------
        ConfigurationError
            If a name is unknown or a value makes no network.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(settings) - known)
        if unknown:
            raise ConfigurationError(
                f"A network has no setting {unknown[0]!r}. It has {', '.join(sorted(known))}."
            )
        config = cls(**{name: _read(value) for name, value in settings.items()})
        for name, value in config.settings().items():
            if name in WORDS or (name == "site_layers" and value is None):
                continue
            is_count = name in COUNTS
            if isinstance(value, bool) or not isinstance(value, int if is_count else (int, float)):
                kind = "a whole number" if is_count else "a number"
                raise ConfigurationError(f"{name} of a network is {kind}, got {value!r}.")
            low, below = COUNTS.get(name, 0), 1.0 if name in SHARES else LARGEST
            if not low <= value < below:
                upper = f" and below {below:g}"
                raise ConfigurationError(
                    f"{name} of a network is at least {low}{upper}, got {value!r}."
                )
        for name, words in WORDS.items():
            if (word := getattr(config, name)) not in words:
                raise ConfigurationError(
                    f"Unknown {name} {word!r} of a network. Known: {', '.join(words)}."
                )
        return config

    @property
    def layers_before(self) -> int:
        """Dense layers before the readout."""
        return self.layers if self.site_layers is None else self.site_layers

    def settings(self) -> dict[str, Any]:
        """Return the configuration as JSON values."""
        return asdict(self)


def _read(value: Any) -> Any:
    """Return a number for the text of one: YAML takes 6e-5, without a point, for text."""
    if value == "adamw":
        return "adam"  # the name in models that were saved earlier
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def varied_configs(n: int) -> list[NetworkConfig]:
    """Return n different configurations, the default first: what an ensemble without search takes.

    They vary width, depth, dropout and decay within the part of the published grid that is quick.
    """
    configs = [NetworkConfig()]
    rng = np.random.default_rng(0)
    while len(configs) < n:
        config = NetworkConfig(
            layers=int(rng.choice([2, 3])),
            neurons=int(rng.choice([32, 48, 64])),
            dropout=float(rng.choice([0.1, 0.15, 0.2, 0.25, 0.3])),
            dropout_final=float(rng.choice([0.1, 0.15, 0.2, 0.25, 0.3])),
            l2=float(rng.choice([1e-4, 1e-3])),
            l2_final=float(rng.choice([1e-4, 1e-3])),
        )
        if config not in configs:
            configs.append(config)
    return configs


def network_configs(networks: int | Sequence[Mapping[str, Any]]) -> list[NetworkConfig]:
    """Return configurations from JSON values, or so many different ones.

    Raises
    ------
    ConfigurationError
        If there is none, or one makes no network.
    """
    if isinstance(networks, int) and networks >= 1:
        return varied_configs(networks)
    if (
        isinstance(networks, Sequence)
        and networks
        and all(isinstance(one, Mapping) for one in networks)
    ):
        return [NetworkConfig.from_settings(dict(one)) for one in networks]
    raise ConfigurationError(
        "networks must be how many different ones to take, or at least one configuration such as "
        f"[{{neurons: 64, dropout: 0.2}}], got {networks!r}."
    )


@dataclass(frozen=True)
class AtomSetBatch:
    """Materials as one long list of site vectors.

    Attributes
    ----------
    vectors
        Scaled site vectors of all materials, one after the other, shape (n_sites, d).
    weight
        Of each site within its material, shape (n_sites,).
    owner
        Material of each site, shape (n_sites,).
    size
        Number of materials.
    """

    vectors: Tensor
    weight: Tensor
    owner: Tensor
    size: int

    @classmethod
    def of(
        cls,
        sets: Sequence[WeightedSet],
        *,
        center: npt.NDArray[np.float64],
        scale: npt.NDArray[np.float64],
        dtype: torch.dtype = torch.float32,
    ) -> "AtomSetBatch":
        """Join sets, each component less `center` and divided by `scale`, shape (d,) each.

        Parameters
        ----------
        sets
            One a material.
        center, scale
            Of each component, shape (d,).
        dtype
            Of the tensors.
        """
        vectors = np.concatenate([one.vectors for one in sets])
        return cls(
            vectors=torch.from_numpy((vectors - center) / scale).to(dtype),
            weight=torch.from_numpy(np.concatenate([one.weight for one in sets])).to(dtype),
            owner=torch.repeat_interleave(
                torch.arange(len(sets)), torch.tensor([len(one.weight) for one in sets])
            ),
            size=len(sets),
        )

    def take(self, rows: Tensor) -> "AtomSetBatch":
        """Return the materials of these rows, in that order."""
        counts = torch.bincount(self.owner, minlength=self.size)
        starts = torch.cumsum(counts, 0) - counts
        mine = counts[rows]
        owner = torch.repeat_interleave(torch.arange(len(rows)), mine)
        first = torch.cumsum(mine, 0) - mine
        index = torch.arange(len(owner)) - first[owner] + starts[rows][owner]
        return AtomSetBatch(self.vectors[index], self.weight[index], owner, len(rows))


def initial_parameters(
    config: NetworkConfig, *, width: int, members: int, generator: torch.Generator
) -> Parameters:
    """Return random parameters of an ensemble for site vectors of a width.

    Parameters
    ----------
    config
        The architecture.
    width
        Components of a site vector.
    members
        Networks of the ensemble.
    generator
        What they are drawn from.
    """
    n, h = config.neurons, config.readout
    shapes: dict[str, tuple[int, int]] = {}
    for k in range(config.layers_before):
        shapes[f"site_{k}"] = (width if k == 0 else n, n)
    before = n if config.layers_before else width
    read = {"set2set": 2 * h, "mean": before, "statistics": 4 * before}[config.pooling]
    if config.pooling == "set2set":
        shapes["memory"] = (before, h)
        shapes["recurrent"] = (2 * h, 4 * h)
    for k in range(config.layers):
        shapes[f"whole_{k}"] = (read if k == 0 else n, n)
    shapes["out"] = (n, 1)
    parameters: Parameters = {}
    for name, (rows, columns) in shapes.items():
        bound = (6.0 / (rows + columns)) ** 0.5
        drawn = torch.rand((members, rows, columns), generator=generator)
        parameters[f"{name}/weight"] = (2 * drawn - 1) * bound
        parameters[f"{name}/bias"] = torch.zeros(members, 1, columns)
    return parameters


def logits(
    parameters: Parameters,
    batch: AtomSetBatch,
    config: NetworkConfig,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the logit of each material by each member, shape (members, n).

    Parameters
    ----------
    generator
        Draws what is dropped in training; without one nothing is.
    """
    x = batch.vectors[None]
    members = len(parameters["out/weight"])
    if generator is not None and config.noise:
        x = x + config.noise * torch.randn((members, *x.shape[1:]), generator=generator)
    for k in range(config.layers_before):
        x = _dense(parameters, f"site_{k}", x).relu()
        x = _dropped(x, config.dropout, generator)
    if config.pooling == "set2set":
        x = _set2set(parameters, x, batch)
    else:
        x = _pooled(x.expand(members, -1, -1), batch, statistics=config.pooling == "statistics")
    for k in range(config.layers):
        x = _dense(parameters, f"whole_{k}", x).relu()
        x = _dropped(x, config.dropout_final, generator)
    return _dense(parameters, "out", x)[..., 0]


def predict(
    parameters: Parameters, batch: AtomSetBatch, config: NetworkConfig
) -> npt.NDArray[np.float64]:
    """Return the probability of class 1 by each member, shape (members, n)."""
    with torch.inference_mode():
        return torch.sigmoid(logits(parameters, batch, config)).double().numpy()


def _dense(parameters: Parameters, name: str, x: Tensor) -> Tensor:
    return x @ parameters[f"{name}/weight"] + parameters[f"{name}/bias"]


def _dropped(x: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    if generator is None or share == 0:
        return x
    kept = torch.rand(x.shape, generator=generator) >= share
    return x * kept / (1 - share)


def _pooled(x: Tensor, batch: AtomSetBatch, *, statistics: bool) -> Tensor:
    members, _, width = x.shape
    owner, zeros = batch.owner, x.new_zeros(members, batch.size, width)
    weight = batch.weight[:, None]
    mean = zeros.index_add(1, owner, weight * x)
    if not statistics:
        return mean
    variance = zeros.index_add(1, owner, weight * (x - mean[:, owner]) ** 2)
    index = owner[None, :, None].expand_as(x)
    low, high = (
        zeros.scatter_reduce(1, index, x, how, include_self=False) for how in ("amin", "amax")
    )
    # The root of zero has no slope.
    return torch.cat([mean, (variance + 1e-6).sqrt(), low, high], dim=-1)


def _set2set(parameters: Parameters, x: Tensor, batch: AtomSetBatch) -> Tensor:
    memory = _dense(parameters, "memory", x)
    members, _, width = memory.shape
    owner, size = batch.owner, batch.size
    query = memory.new_zeros(members, size, 2 * width)
    cell = memory.new_zeros(members, size, width)
    for _ in range(READOUT_STEPS):
        i, f, g, o = _dense(parameters, "recurrent", query).chunk(4, dim=-1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(cell)
        energy = (memory * hidden[:, owner]).sum(-1)
        index = owner.expand(members, -1)
        highest = energy.new_full((members, size), -torch.inf)
        highest = highest.scatter_reduce(1, index, energy.detach(), "amax")
        share = torch.exp(energy - highest[:, owner]) * batch.weight
        total = share.new_zeros(members, size).index_add(1, owner, share)
        attention = share / total[:, owner]
        read = memory.new_zeros(members, size, width)
        read = read.index_add(1, owner, attention[..., None] * memory)
        query = torch.cat([hidden, read], dim=-1)
    return query
