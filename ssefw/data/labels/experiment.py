"""What to expect in experiment of a conductivity that was computed.

A computed conductivity carries the error of its runs. How far the kind of calculation lies from
experiment, by its potential, its cells and by what samples are, is learned from a scoreboard:
compounds of which both are known. log10 computed less log10 measured is taken as normal, with an
offset and a spread that all compounds of one engine share, beside the error of each.
Bounds take part as bounds. Offset and spread have a posterior on a grid; before the first compound
it is a guess, which a handful of compounds outweighs, and what is said of a number says so.
"""

import json
import math
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri

from ssefw.data.labels.outcomes import ROOM, TOLERANCE, kind_of
from ssefw.documents import Estimate, KindOffset, Outcome
from ssefw.errors import DataError

__all__ = [
    "ENOUGH",
    "Compared",
    "Expectation",
    "Scoreboard",
    "expected_in_experiment",
    "kind_offset",
    "left_out",
    "shipped_scoreboard",
]

FloatArray = npt.NDArray[np.float64]

SCOREBOARDS = Path(__file__).with_name("scoreboards")
ENOUGH = 8
"""Compounds from which offset and spread count as learned: by then the guess weighs little."""

GUESSED_OFFSET = 0.7
"""Standard deviation of an offset that nobody has measured, decades: published potentials are known
to be too soft or too stiff by a factor of five."""
GUESSED_SPREAD, SPREAD_DOUBT = 0.6, 0.6
"""Median of a spread that nobody has measured, decades, and standard deviation of its logarithm.
Measurements alone scatter by half a decade and more (Li6PS5Cl in OBELiX: 3.3e-5 to 2.1e-3 S/cm)."""

OFFSETS: FloatArray = np.linspace(-3.0, 3.0, 121)
SPREADS: FloatArray = np.geomspace(0.05, 4.0, 24)
FARTHEST = 40.0
"""Decades around a number in which a quantile is looked for."""


@dataclass(frozen=True)
class Compared:
    """A compound, what was measured (S/cm) and what was computed.

    Attributes
    ----------
    barrier
        The computed activation energy, eV.
    core_hours
        That this compound took.
    date
        When it was computed; a table may grow over weeks.
    """

    name: str
    candidate_id: str
    measured: float
    computed: Estimate
    barrier: Estimate | None = None
    core_hours: float = 0.0
    date: str = ""


@dataclass(frozen=True)
class Scoreboard:
    """What an engine computed beside what was measured.

    Attributes
    ----------
    date, version
        When, and with which ssefw.
    core_hours
        That it took.
    """

    engine: str
    date: str
    version: str
    core_hours: float
    compounds: tuple[Compared, ...]

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Scoreboard":
        """Return the scoreboard of a record that `as_record` gave.

        Raises
        ------
        DataError
            If it is none.
        """
        try:
            compounds = tuple(
                Compared(
                    name=row["name"],
                    candidate_id=row["candidate_id"],
                    measured=float(row["measured_s_per_cm"]),
                    computed=Estimate(**row["computed_s_per_cm"], unit="S/cm"),
                    barrier=row.get("computed_E_a_eV")
                    and Estimate(**row["computed_E_a_eV"], unit="eV"),
                    core_hours=float(row.get("core_hours", 0.0)),
                    date=row.get("date", ""),
                )
                for row in record["compounds"]
            )
            return cls(
                engine=record["engine"],
                date=record["date"],
                version=record["version"],
                core_hours=float(record["core_hours"]),
                compounds=compounds,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"This is no scoreboard as benchmarks/scoreboard.py --json writes it: {error}"
            ) from error

    def as_record(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "engine": self.engine,
            "date": self.date,
            "version": self.version,
            "core_hours": self.core_hours,
            "compounds": [
                {
                    "name": row.name,
                    "candidate_id": row.candidate_id,
                    "measured_s_per_cm": row.measured,
                    "computed_s_per_cm": row.computed.plain(),
                    "computed_E_a_eV": row.barrier and row.barrier.plain(),
                    "core_hours": row.core_hours,
                    "date": row.date,
                }
                for row in self.compounds
            ],
        }

    def without(self, candidate_id: str) -> "Scoreboard":
        """Return it without a compound, of which something is to be expected."""
        kept = tuple(row for row in self.compounds if row.candidate_id != candidate_id)
        return Scoreboard(self.engine, self.date, self.version, self.core_hours, kept)

    @property
    def n_compounds(self) -> int:
        """Compounds that tell something: with a value or a bound."""
        return sum(row.computed.kind != "undetermined" for row in self.compounds)

    @property
    def basis(self) -> str:
        """What an expectation rests on, in words."""
        n = self.n_compounds
        if n == 0:
            return "a guess: no compound was compared with experiment"
        compounds = f"{n} compound{'s' if n > 1 else ''} of {self.date}"
        return f"learned from {compounds}" if n >= ENOUGH else f"{compounds} and a guess"


@dataclass(frozen=True)
class Expectation:
    """What to expect in experiment, and what that rests on.

    Attributes
    ----------
    offset, spread
        Means of the posterior, decades.
    basis
        In words.
    """

    conductivity: Estimate
    offset: float
    spread: float
    n_compounds: int
    basis: str


def shipped_scoreboard(engine: str) -> Scoreboard:
    """Return the scoreboard of an engine by its name; one without compounds where there is none."""
    return _shipped().get(engine, Scoreboard(engine, "", "", 0.0, ()))


@cache
def _shipped() -> dict[str, Scoreboard]:
    found = {}
    for path in sorted(SCOREBOARDS.glob("*.json")):
        board = Scoreboard.of(json.loads(path.read_text()))
        found[board.engine] = board
    return found


def expected_in_experiment(outcome: Outcome) -> Expectation | None:
    """Return what an experiment at room temperature is expected to find; None where nobody knows.

    Of conductivities by an ML potential near 300 K. A compound of the scoreboard is judged by the
    others.
    """
    fit, engine = outcome.conductivity, outcome.provenance.engine
    if fit is None or fit.conductivity.kind == "undetermined":
        return None
    if fit.conductivity.unit != "S/cm" or abs(fit.temperature - ROOM) > TOLERANCE:
        return None
    try:
        if kind_of(engine) != "mlip":
            return None
    except DataError:
        return None
    return expectation(fit.conductivity, shipped_scoreboard(engine).without(outcome.candidate_id))


def expectation(computed: Estimate, board: Scoreboard) -> Expectation:
    """Return what to expect of a computed value or bound, by the compounds of a scoreboard."""
    weights = _posterior(board.compounds)
    offset = float((weights.sum(axis=1) * OFFSETS).sum())
    spread = float((weights.sum(axis=0) * SPREADS).sum())

    # What has no weight in a posterior of many compounds is most of the grid.
    rows, columns = np.nonzero(weights > 1e-7 * weights.max())
    shares = weights[rows, columns] / weights[rows, columns].sum()

    def quantile(center: float, own: float, share: float) -> float:
        width = np.hypot(SPREADS[columns], own)

        def excess(x: float) -> float:
            return float(shares @ ndtr((x - center + OFFSETS[rows]) / width)) - share

        return float(10 ** brentq(excess, center - FARTHEST, center + FARTHEST, xtol=1e-4))

    level = computed.level
    method = f"less {offset:+.2f} decades, spread {spread:.2f}: {board.basis}"
    if computed.value:
        center, own = math.log10(computed.value), _own_spread(computed)
        tails = (0.5, 0.5 - 0.5 * level, 0.5 + 0.5 * level)
        value, lower, upper = (quantile(center, own, share) for share in tails)
        expected = computed.model_copy(
            update={"value": value, "lower": lower, "upper": upper, "method": method}
        )
    else:
        ends = {}
        if computed.upper:
            ends["upper"] = quantile(math.log10(computed.upper), 0.0, level)
        if computed.lower:
            ends["lower"] = quantile(math.log10(computed.lower), 0.0, 1.0 - level)
        expected = computed.model_copy(update={**ends, "method": method})
    return Expectation(expected, offset, spread, board.n_compounds, board.basis)


def left_out(board: Scoreboard) -> list[tuple[Compared, Expectation]]:
    """Return each compound that tells something with what the others let expect of it."""
    return [
        (row, expectation(row.computed, board.without(row.candidate_id)))
        for row in board.compounds
        if row.computed.kind != "undetermined"
    ]


def kind_offset(board: Scoreboard, *, level: float = 0.95) -> KindOffset | None:
    """Return offset and spread of an engine for labels; None of too few compounds to have any."""
    if board.n_compounds < ENOUGH:
        return None
    weights = _posterior(board.compounds)
    return KindOffset(
        kind="mlip",
        level_of_theory=board.engine,
        offset=_of_grid(OFFSETS, weights.sum(axis=1), level, board.basis),
        spread=_of_grid(SPREADS, weights.sum(axis=0), level, board.basis),
        pairs=tuple(
            (row.name, math.log10(row.computed.value), math.log10(row.measured))
            for row in board.compounds
            if row.computed.value
        ),
    )


def _of_grid(grid: FloatArray, weights: FloatArray, level: float, basis: str) -> Estimate:
    total = np.cumsum(weights)
    tails = (0.5, 0.5 - 0.5 * level, 0.5 + 0.5 * level)
    value, lower, upper = (float(grid[np.searchsorted(total, share)]) for share in tails)
    return Estimate(
        value=value, lower=lower, upper=upper, level=level, unit="decades", method=basis
    )


def _own_spread(computed: Estimate) -> float:
    """Return the standard deviation of log10 of a computed value."""
    decades = computed.decades
    assert decades is not None
    return decades / (2.0 * float(ndtri(0.5 + 0.5 * computed.level)))


@lru_cache(maxsize=64)
def _posterior(compounds: tuple[Compared, ...]) -> FloatArray:
    """Return the weight of each offset (rows) and spread (columns), in sum one."""
    offsets, spreads = OFFSETS[:, None], SPREADS[None, :]
    log = -0.5 * (offsets / GUESSED_OFFSET) ** 2
    log = log - 0.5 * (np.log(spreads / GUESSED_SPREAD) / SPREAD_DOUBT) ** 2
    for row in compounds:
        computed, measured = row.computed, math.log10(row.measured)
        if computed.value:
            width = np.hypot(spreads, _own_spread(computed))
            z = (math.log10(computed.value) - measured - offsets) / width
            log = log - 0.5 * z**2 - np.log(width)
        elif computed.upper:
            log = log + log_ndtr((math.log10(computed.upper) - measured - offsets) / spreads)
        elif computed.lower:
            log = log + log_ndtr((measured + offsets - math.log10(computed.lower)) / spreads)
    weights = np.exp(log - log.max())
    return np.asarray(weights / weights.sum(), dtype=np.float64)
