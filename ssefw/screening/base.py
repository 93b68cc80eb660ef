"""What every screening system offers: fit, score, explain, save, load; and how one is found.

A system is a class that keeps this contract and is named in the table below or by an entry point
of the group ``ssefw.screeners`` of any installed package::

    [project.entry-points."ssefw.screeners"]
    mine = "my_package.screen:MyScreener"

A saved model is one file of plain arrays and JSON. Reading it runs no code of the file.
"""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from ssefw.data.dataset import Dataset
from ssefw.data.materials import Material
from ssefw.errors import ConfigurationError, DataError, MissingDependencyError
from ssefw.files import check_plain, replacing
from ssefw.files.arrays import read_npz
from ssefw.mistakes import check_settings

__all__ = [
    "DEFAULT",
    "NO_STRUCTURE",
    "PAPERS",
    "SCREENERS",
    "ModelState",
    "Reason",
    "Scores",
    "Screener",
    "check_screener",
    "load_screener",
    "make_screener",
    "save_screener",
    "screener_class",
    "screener_names",
    "usable_rows",
]

SCREENERS = {
    "atomsets": "ssefw.screening.atomsets.screener:AtomSetsScreener",
    "clustering": "ssefw.screening.clustering.screener:ClusteringScreener",
    "composition": "ssefw.screening.composition:CompositionScreener",
    "conductivity": "ssefw.screening.conductivity.screener:ConductivityScreener",
    "consensus": "ssefw.screening.consensus:ConsensusScreener",
    "kang2022": "ssefw.screening.papers.kang:KangScreener",
    "mchaffie2025": "ssefw.screening.papers.mchaffie:McHaffieScreener",
    "sendek2017": "ssefw.screening.papers.sendek:SendekScreener",
    "xrdmatch": "ssefw.screening.xrdmatch.screener:XRDMatchScreener",
}
"""Systems that come with ssefw; entry points add to them."""

PAPERS = frozenset({"kang2022", "mchaffie2025", "sendek2017"})
"""Systems that only reproduce a paper."""

NO_STRUCTURE = "no structure"
"""What a material lacks; as other things are, said with "have" before it."""

ENTRY_POINTS = "ssefw.screeners"
FORMAT = 1
MAY_BE_UNKNOWN = frozenset({"log_sigma", "unseen"})
"""Arrays that hold NaN where something is not known: a bound is no conductivity, and a part of a
consensus says nothing of a label that it cannot score. Arrays of parts have its name and a slash.
"""
# What a damaged model makes of the code that takes it over; torch raises RuntimeError.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    DataError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Scores:
    """What a screener says of some materials; rows are materials, in the order given.

    Attributes
    ----------
    probability
        Of being superionic, shape (n,). NaN where the material could not be scored.
    spread
        Standard deviation over the members of the ensemble, shape (n,).
    lower, upper
        95 % of the members lie between, shape (n,).
    votes
        Members that say superionic, shape (n,), of `n_votes`.
    distance
        To the nearest labeled material, 1 being the labels' mean distance to their center.
    problems
        Row to the reason why it was not scored.
    details
        More numbers of a system, each of shape (n,), for example the votes of one kind of member.
    meaning
        What the probability rests on, in a sentence.
    log_sigma
        Of systems that predict the number: median log10 of the conductivity in S/cm, shape (n,).
    quantiles
        Of log10 of the conductivity at the shares `SHARES` of
        `ssefw.screening.conductivity.quantiles`, shape (n, len(SHARES)): any interval, and the
        probability of any threshold, follow from them.
    """

    names: tuple[str, ...]
    probability: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    meaning: str
    votes: npt.NDArray[np.int64] | None = None
    n_votes: int | None = None
    distance: npt.NDArray[np.float64] | None = None
    problems: Mapping[int, str] = field(default_factory=dict)
    details: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    log_sigma: npt.NDArray[np.float64] | None = None
    quantiles: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Reason:
    """Why a material has its score: a property, its value, and what it adds to the score.

    Attributes
    ----------
    typical
        The median of the labels.
    effect
        Score as it is, less the score with the property at its typical value.
    """

    feature: str
    value: float
    typical: float
    effect: float


@dataclass(frozen=True)
class ModelState:
    """A fitted screener as it is saved: JSON values and arrays, nothing else."""

    meta: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]


class Screener(ABC):
    """Learns from labels which materials conduct, and scores others.

    The constructor only stores settings. `fit` learns and returns the screener; `score` changes
    nothing. All randomness comes from a seed among the settings.

    Attributes
    ----------
    name
        Under which it is registered.
    needs
        What a material must have to be scored.
    learns_from_bounds
        Whether a bound that does not decide the class says something: `fit` then gets such labels
        too, with the class -1.
    """

    name: ClassVar[str]
    needs: ClassVar[Literal["composition", "structure"]]
    learns_from_bounds: ClassVar[bool] = False

    @abstractmethod
    def fit(self, data: Dataset, *, pool: Sequence[Material] = ()) -> Self:
        """Learn from labels (y 1 or 0; -1 is unlabeled), and from a pool without labels."""

    @abstractmethod
    def score(self, materials: Sequence[Material]) -> Scores:
        """Score materials; one that cannot be scored is NaN and listed with the reason.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """

    def lacks(self, material: Material) -> str:
        """Return what a material would need to be learned from, as in "no structure", or nothing.

        A system that needs more than a structure says so here.
        """
        return NO_STRUCTURE if self.needs == "structure" and material.build is None else ""

    @abstractmethod
    def explain(self, material: Material, *, top: int = 10) -> list[Reason]:
        """Return the properties that move the score of a material most, largest first."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments as JSON values."""

    @abstractmethod
    def state(self) -> ModelState:
        """Return what was learned."""

    @abstractmethod
    def restore(self, state: ModelState) -> Self:
        """Take over what `state` returned, and return the screener."""

    def importances(self, *, top: int = 20) -> list[tuple[str, float]]:  # noqa: ARG002
        """Return the properties that matter most over all labels, if the system has such."""
        return []

    def tuned_on(self, data: Dataset, *, trials: int) -> "Screener":  # noqa: ARG002
        """Return an unfitted screener whose hyper-parameters were searched on labels.

        Raises
        ------
        ConfigurationError
            If the system has none to search.
        """
        raise ConfigurationError(f"The system {self.name!r} has no hyper-parameters to search.")

    @property
    @abstractmethod
    def trained_on(self) -> dict[str, Any]:
        """Return name, version and formulas of the labels, and the threshold in S/cm.

        Keys are ``label_set``, ``label_version``, ``threshold`` and ``formulas``.
        """


def save_screener(screener: Screener, path: Path) -> None:
    """Write a fitted screener as one file: a zip of JSON and numpy arrays."""
    state = screener.state()
    meta = {
        "format": FORMAT,
        "screener": screener.name,
        "settings": screener.settings(),
        "ssefw": version("ssefw"),
        "state": state.meta,
    }
    text = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    with replacing(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, __meta__=text, **state.arrays)  # type: ignore[arg-type]


def load_screener(path: Path) -> Screener:
    """Read what `save_screener` wrote. No code of the file is run.

    Raises
    ------
    DataError
        If it is no saved screener, or of a later format.
    ConfigurationError
        If its system is not installed.
    """
    try:
        arrays = read_npz(path)
        meta = _read_meta(arrays.pop("__meta__").tobytes())
        system, settings, state = str(meta["screener"]), meta["settings"], meta["state"]
        saved_format = int(meta["format"])
    except (DataError, ValueError, KeyError, TypeError) as error:
        why = str(error) if isinstance(error, DataError) else type(error).__name__
        raise DataError(
            f"{path} is no model of ssefw ({why}). Make one with `ssefw screen train`."
        ) from error
    if saved_format != FORMAT:
        raise DataError(
            f"{path} was written by ssefw {meta.get('ssefw')} in the format {saved_format}, this "
            f"one reads {FORMAT}. Update ssefw, or train the model again."
        )
    try:
        _check_finite(arrays)
        return screener_class(system)(**settings).restore(ModelState(state, arrays))
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except MissingDependencyError:
        raise
    except _DAMAGE as error:
        why = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
        raise DataError(
            f"The model {path} of system {system!r} is damaged or was written by another version "
            f"({' '.join(why.split())[:200]}). Train it again."
        ) from error


def _read_meta(text: bytes) -> dict[str, Any]:
    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} among its numbers")

    found = json.loads(text, parse_constant=refuse)
    if not isinstance(found, dict):
        raise TypeError(type(found).__name__)
    check_plain(found)
    return found


def _check_finite(arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    for name, array in arrays.items():
        if array.dtype.kind != "f" or name.rpartition("/")[2] in MAY_BE_UNKNOWN:
            continue
        if not np.isfinite(array).all():
            raise DataError(f"its array {name!r} holds what is no number")


def make_screener(name: str, settings: Mapping[str, Any]) -> Screener:
    """Return an unfitted screener with settings by name.

    Raises
    ------
    ConfigurationError
        If there is no such system, it has no such setting, or a value makes no sense.
    """
    kind = screener_class(name)
    return kind(**check_settings(kind, settings, of=f"The system {name!r}"))


def check_screener(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse what `make_screener` would; a system that comes with ssefw is not imported needlessly.

    Raises
    ------
    ConfigurationError
        If there is no such system, it has no such setting, or a value makes no sense.
    """
    if settings or name not in SCREENERS:  # else there is nothing to be wrong
        make_screener(name, settings)


def usable_rows(screener: Screener, data: Dataset) -> tuple[Dataset, dict[str, int]]:
    """Return the labels that have what a screener needs, and of how many others lack what.

    Raises
    ------
    DataError
        If none does.
    """
    lacks = [screener.lacks(material) for material in data.materials]
    rows = [row for row, lacking in enumerate(lacks) if not lacking]
    left_out = dict(Counter(filter(None, lacks)))
    if left_out.get(NO_STRUCTURE, 0) == len(data):
        raise DataError(
            f"The system {screener.name!r} needs structures, and no label of {data.name!r} has "
            "one. Give --structures, a zip or folder of CIFs named by the labels' ids."
        )
    if not rows:
        why = "; ".join(f"{count} have {what}" for what, count in left_out.items())
        raise DataError(
            f"The system {screener.name!r} can learn from no label of {data.name!r}: {why}."
        )
    return data.take(rows), left_out


DEFAULT = "conductivity"
"""System of `screen train`; see docs/screening.md for what it was chosen by."""


def screener_names() -> list[str]:
    """Return the names of all systems that are installed."""
    return sorted({*SCREENERS, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def screener_class(name: str) -> type[Screener]:
    """Return the class of a system by its name.

    Raises
    ------
    ConfigurationError
        If there is none, or its class does not keep the contract.
    """
    found = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    target = {**found, **SCREENERS}.get(name)
    if target is None:
        close = get_close_matches(name, screener_names(), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigurationError(
            f"Unknown screening system {name!r}.{hint} Known: {', '.join(screener_names())}."
        )
    module, _, attribute = target.partition(":")
    kind = getattr(import_module(module), attribute)
    if not (isinstance(kind, type) and issubclass(kind, Screener)):
        raise ConfigurationError(f"The screener {name!r} at {target} is no ssefw Screener.")
    return kind
