"""Run a hit once more at one temperature, in a larger cell or with another engine, and compare.

    ladder --> md 600 K confirm --> ladder --> outcome

Cells of periodic dynamics are small: what ions do together may need more room than they have. What
does not agree is said on the outcome; the conductivity stays that of the ladder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jobflow import Job, Maker, Response, job
from pymatgen.core import Structure
from scipy.special import ndtri

from ssefw.analysis import log_spread
from ssefw.documents import (
    Candidate,
    Confirmation,
    Diffusivity,
    Estimate,
    Outcome,
    Trajectory,
)
from ssefw.engines import Engine
from ssefw.makers.failures import LENIENT, failures_recorded
from ssefw.makers.outcome import core_hours
from ssefw.makers.replacement import replaced_by
from ssefw.settings import load_settings

if TYPE_CHECKING:
    from ssefw.makers.ladder import LadderMaker

__all__ = ["ConfirmMaker", "compared", "doubled"]


@dataclass
class ConfirmMaker(Maker):
    """Look at hits once more.

    Attributes
    ----------
    engine
        That runs the dynamics; that of the ladder if None.
    size
        Whether the cell is twice as long in its shortest direction.
    above
        What counts as a hit, S/cm.
    temperature
        Of the run, K; if None that of the ladder at which D is known best.
    arrangements
        Of a disordered crystal, so many are run.
    """

    engine: Engine | None = None
    size: bool = True
    above: float = 1e-4
    temperature: float | None = None
    arrangements: int = 1
    name: str = "confirm"

    def start(
        self,
        outcome: Outcome,
        cells: Sequence[tuple[int | None, Structure, Sequence[Diffusivity]]],
        *,
        candidate: Candidate,
        ladder: "LadderMaker",
    ) -> Outcome | Response[Outcome]:
        """Return the outcome, or what runs before it where it is a hit.

        Parameters
        ----------
        outcome
            Of the ladder.
        cells
            Number of the arrangement, simulated cell and diffusivities of each that may be run.
        candidate
            What is studied.
        ladder
            Whose runs are repeated.
        """
        sigma = outcome.conductivity.conductivity if outcome.conductivity else None
        if sigma is None or sigma.value is None or sigma.value < self.above:
            return outcome
        engine = self.engine or ladder.md.engine
        climber = replace(ladder, md=replace(ladder.md, engine=engine), policy=None)
        jobs: list[Job] = []
        found: list[dict[str, Any]] = []
        for index, cell, known in cells:
            before = self._best(known)
            if before is None or len(found) >= self.arrangements:
                continue
            larger = doubled(cell) if self.size else cell
            number = "" if index is None else f" #{index}"
            md, estimate = climber.rung(
                larger,
                candidate,
                temperature=before.temperature,
                length=ladder.length,
                suffix=f"{number} confirm",
            )
            jobs += [md, estimate]
            found.append(
                {
                    "arrangement": index,
                    "engine": engine.name,
                    "before": before,
                    "n_atoms": len(larger),
                    "diffusivity": estimate.output,
                    "trajectory": md.output,
                }
            )
        return replaced_by(jobs, self.compare(outcome, found)) if jobs else outcome

    @job(output_schema=Outcome, config=LENIENT)
    def compare(self, outcome: Outcome, found: Sequence[dict[str, Any]]) -> Outcome:
        """Return the outcome with what its second look gave.

        Parameters
        ----------
        found
            Of each run, what it was compared with and what it gave; None where it failed.
        """
        with failures_recorded():
            made = [_confirmation(item) for item in found]
            hours = sum(item.core_hours for item in made)
            cost = outcome.cost
            cost = cost.model_copy(update={"core_hours": cost.core_hours + hours})
            return outcome.model_copy(update={"confirmations": tuple(made), "cost": cost})

    def _best(self, known: Sequence[Diffusivity]) -> Diffusivity | None:
        """Return the diffusivity that a second one is compared with."""
        values = [
            found
            for found in known
            if found.tracer.value and self.temperature in {None, found.temperature}
        ]
        return min(values, key=lambda found: log_spread(found.tracer), default=None)


def doubled(cell: Structure) -> Structure:
    """Return a cell twice as long in the direction in which its faces are closest."""
    heights = 1.0 / np.linalg.norm(cell.lattice.inv_matrix, axis=0)
    repeats = [1, 1, 1]
    repeats[int(np.argmin(heights))] = 2
    return cell * repeats


def compared(before: Estimate, after: Estimate) -> tuple[Estimate, bool | None]:
    """Return D after over D before, and whether they agree; None where that cannot be told."""
    if before.value and after.value:
        middle = np.log(after.value / before.value)
        half = float(ndtri(0.5 + 0.5 * after.level))
        half *= float(np.hypot(log_spread(before), log_spread(after)))
        value, lower, upper = np.exp([middle, middle - half, middle + half]).tolist()
        ratio = Estimate(value=value, lower=lower, upper=upper, level=after.level, unit="")
        return ratio, lower <= 1.0 <= upper
    if before.value and before.lower and after.kind == "upper_bound" and after.upper:
        upper = after.upper / before.value
        ratio = Estimate.below(upper, unit="", reason=after.reason, level=after.level)
        return ratio, False if after.upper < before.lower else None
    return Estimate.undetermined(after.reason or "no value to compare with", unit=""), None


def _confirmation(item: dict[str, Any]) -> Confirmation:
    before, after, run = item["before"], item["diffusivity"], item["trajectory"]
    # What jobs hand on within a list of dictionaries arrives as they stored it.
    before = Diffusivity.model_validate(before)
    after = None if after is None else Diffusivity.model_validate(after)
    runs = [] if run is None else [Trajectory.model_validate(run)]
    if after is None:
        ratio, agrees = Estimate.undetermined("the run failed", unit=""), None
    else:
        ratio, agrees = compared(before.tracer, after.tracer)
    return Confirmation(
        temperature=before.temperature,
        engine=item["engine"],
        n_atoms=item["n_atoms"],
        n_atoms_before=before.n_atoms,
        arrangement=item["arrangement"],
        diffusivity=after,
        ratio=ratio,
        agrees=agrees,
        core_hours=core_hours(runs, threads=load_settings().settings.threads),
    )
