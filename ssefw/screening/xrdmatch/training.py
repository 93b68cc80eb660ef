"""One network taught by few labeled patterns and many without a label: FixMatch and FlexMatch.

The loss is L_s + L_u: cross entropy of weakly changed labeled patterns, and of strongly changed
unlabeled ones against the class that the network itself gives their weakly changed form, where it
is sure enough (Sohn et al. 2020, https://arxiv.org/abs/2001.07685; `thresholds` for FlexMatch).
The last network is kept: choosing an epoch needs labels that training may not look at.

Whatever is random in an iteration follows from the seed and the number of that iteration, so a run
that was interrupted goes on as if it had not been.
"""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ssefw.errors import ConfigurationError
from ssefw.screening.xrdmatch.augment import Augmentation
from ssefw.screening.xrdmatch.networks import NETWORKS, make_network
from ssefw.screening.xrdmatch.thresholds import class_thresholds

__all__ = ["METHODS", "Method", "Progress", "Trainer", "TrainingSettings", "training_device"]

logger = logging.getLogger(__name__)

Method = Literal["supervised", "fixmatch", "flexmatch"]
METHODS: tuple[Method, ...] = ("supervised", "fixmatch", "flexmatch")
Arrays = dict[str, npt.NDArray[Any]]
EPOCH = 10
"""Iterations between two reports: the paper's 100 epochs are 1,000 iterations."""


def training_device() -> str:
    """Return where networks are trained: on a GPU where torch finds one, else on the processor."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is taught; the defaults are the paper's, where it states them.

    Attributes
    ----------
    method
        ``supervised`` (labels only), ``fixmatch`` or ``flexmatch``.
    batch, ratio
        Labeled patterns in a batch, and unlabeled ones for each of them (mu).
    tau
        Confidence that makes a prediction a label.
    convex, warm_up
        See `thresholds`.
    unlabeled_weight
        Weight of L_u.
    """

    method: Method = "flexmatch"
    network: str = "small"
    iterations: int = 1000
    batch: int = 32
    ratio: int = 3
    learning_rate: float = 3e-4
    weight_decay: float = 5e-4
    tau: float = 0.95
    convex: bool = False
    warm_up: bool = False
    unlabeled_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigurationError(
                f"Unknown method {self.method!r}. Known: {', '.join(sorted(METHODS))}."
            )
        if self.network not in NETWORKS:
            raise ConfigurationError(
                f"Unknown network {self.network!r}. Known: {', '.join(NETWORKS)}."
            )
        counts = {"iterations": self.iterations, "batch": self.batch, "ratio": self.ratio}
        for name, value in counts.items():
            if value < 1:
                raise ConfigurationError(f"{name} must be 1 or more, got {value}.")
        if not 0 <= self.tau < 1:
            raise ConfigurationError(f"tau is a confidence from 0 to below 1, got {self.tau:g}.")


@dataclass(frozen=True)
class Progress:
    """Where training stands after some iterations.

    Attributes
    ----------
    iteration
        Iterations done.
    loss, unlabeled_loss
        L_s and L_u, means over the iterations since the last report.
    accepted
        Share of unlabeled patterns whose prediction counted as a label since then.
    thresholds
        Confidence asked for, by class.
    """

    iteration: int
    loss: float
    unlabeled_loss: float
    accepted: float
    thresholds: tuple[float, ...]


class Trainer:
    """A network in training: run it, look at it, put it aside, take it up again.

    Parameters
    ----------
    labeled, y
        Patterns, shape (n, points), and classes 0 or 1, shape (n,).
    unlabeled
        Patterns, shape (m, points); not used by ``supervised``.
    device
        Of torch.
    """

    def __init__(
        self,
        labeled: npt.NDArray[np.float32],
        y: npt.NDArray[np.int64],
        unlabeled: npt.NDArray[np.float32],
        *,
        settings: TrainingSettings,
        augmentation: Augmentation,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self.settings = settings
        self.augmentation = augmentation
        self.seed = seed
        self.device = device
        self.iteration = 0
        self._labeled = torch.from_numpy(labeled).to(device)
        self._y = torch.from_numpy(y).to(device)
        self._unlabeled = torch.from_numpy(unlabeled).to(device)
        self._chosen = torch.full((len(unlabeled),), -1, device=device)
        with _own_randomness(device):
            _seed(_mixed(seed, 0), device)
            self.network = make_network(settings.network, labeled.shape[1]).to(device)
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )

    def run(self) -> Iterator[Progress]:
        """Train to the end, and report every ten iterations; the network may be read between."""
        while self.iteration < self.settings.iterations:
            stop = min(self.iteration + EPOCH, self.settings.iterations)
            with _own_randomness(self.device):
                self.network.train()
                steps = []
                while self.iteration < stop:
                    _seed(_mixed(self.seed, self.iteration + 1), self.device)
                    steps.append(self._step())
                    self.iteration += 1
                self.network.eval()
            loss, unlabeled_loss, accepted = torch.stack(steps).mean(dim=0).tolist()
            yield Progress(
                self.iteration, loss, unlabeled_loss, accepted, tuple(self._thresholds().tolist())
            )

    def _step(self) -> Tensor:
        """Do one iteration; return L_s, L_u and the accepted share."""
        settings, change = self.settings, self.augmentation
        rows = torch.randint(0, len(self._y), (settings.batch,), device=self.device)
        x, y = change.weak(self._labeled[rows]), self._y[rows]
        if settings.method == "supervised":
            loss = cross_entropy(self.network(x), y)
            self._descend(loss)
            return torch.stack([loss.detach(), loss.new_zeros(()), loss.new_zeros(())])
        drawn = torch.randint(
            0, len(self._unlabeled), (settings.ratio * settings.batch,), device=self.device
        )
        u = self._unlabeled[drawn]
        with torch.no_grad():
            sure, said = torch.softmax(self.network(change.weak(u)), dim=1).max(dim=1)
            accepted = (sure > self._thresholds()[said]).float()
        answers = self.network(torch.cat([x, change.strong(u)]))
        loss = cross_entropy(answers[: len(x)], y)
        each = cross_entropy(answers[len(x) :], said, reduction="none")
        unlabeled_loss = (each * accepted).mean()
        self._descend(loss + settings.unlabeled_weight * unlabeled_loss)
        confident = sure > settings.tau
        self._chosen[drawn[confident]] = said[confident]
        return torch.stack([loss.detach(), unlabeled_loss.detach(), accepted.mean()])

    def _descend(self, loss: Tensor) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()

    def _thresholds(self) -> Tensor:
        settings = self.settings
        if settings.method != "flexmatch":
            return torch.full((2,), settings.tau, device=self.device)
        return class_thresholds(
            self._chosen, tau=settings.tau, convex=settings.convex, warm_up=settings.warm_up
        )

    def weights(self) -> Arrays:
        """Return the network as arrays by name."""
        return {name: _array(value) for name, value in self.network.state_dict().items()}

    def snapshot(self) -> Arrays:
        """Return everything that the rest of the training depends on, as arrays."""
        arrays: Arrays = {f"network/{name}": value for name, value in self.weights().items()}
        for number, state in self._optimizer.state_dict()["state"].items():
            for name, value in state.items():
                arrays[f"optimizer/{number}/{name}"] = _array(value)
        arrays["chosen"] = _array(self._chosen)
        arrays["iteration"] = np.array(self.iteration)
        return arrays

    def resume(self, arrays: Arrays) -> None:
        """Take over what `snapshot` returned."""
        network: dict[str, Tensor] = {}
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in arrays.items():
            kind, _, name = key.partition("/")
            if kind == "network":
                network[name] = torch.from_numpy(value)
            elif kind == "optimizer":
                number, _, what = name.partition("/")
                moments.setdefault(int(number), {})[what] = torch.from_numpy(value)
        self.network.load_state_dict(network)
        state = self._optimizer.state_dict()
        self._optimizer.load_state_dict({**state, "state": moments})
        self._chosen = torch.from_numpy(arrays["chosen"]).to(self.device)
        self.iteration = int(arrays["iteration"])

    def describe(self) -> dict[str, Any]:
        """Return settings and seed as JSON values: runs that differ in them are different runs."""
        return {**asdict(self.settings), "seed": self.seed}


def _array(value: Tensor) -> npt.NDArray[Any]:
    return value.detach().cpu().numpy().copy()


def _mixed(seed: int, iteration: int) -> int:
    """Return a seed for one iteration of one run, far from those of its neighbors."""
    return int(np.random.SeedSequence([seed, iteration]).generate_state(1, np.uint64)[0] >> 1)


def _seed(seed: int, device: str) -> None:
    # torch.manual_seed queues a call for CUDA each time where there is none, with a stack trace.
    torch.default_generator.manual_seed(seed)
    if device.startswith("cuda"):
        torch.cuda.manual_seed(seed)


def _own_randomness(device: str) -> Any:
    """Return a context in which torch is seeded at will; the caller's generator is put back."""
    devices = [torch.cuda.current_device()] if device.startswith("cuda") else []
    return torch.random.fork_rng(devices=devices)
