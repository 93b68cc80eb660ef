"""A few steps of dynamics before a campaign, to learn how long they take on this machine."""

import tempfile
from pathlib import Path

from ssefw.campaigns.planning.cost import Pace, one_run_doubt
from ssefw.campaigns.planning.plan import Plan
from ssefw.campaigns.planning.refusals import perhaps_too_large
from ssefw.engines import RunDirectory
from ssefw.engines.stopping import stop_check
from ssefw.errors import LaunchError

__all__ = ["probe"]


def probe(plan: Plan, *, steps: int) -> Pace:
    """Return the pace of so many steps of dynamics, which are run.

    The first candidate that would come to dynamics is taken, in its cell before relaxation. One
    step more is run and not counted: a program starts in it, and electrons from nothing.

    Raises
    ------
    LaunchError
        If the campaign has no dynamics, or the time of this process was up before they were done.
    """
    ladder = plan.maker.ladder
    if ladder is None:
        raise LaunchError(f"The campaign {plan.spec.campaign} has no dynamics that could be tried.")
    refused = {item.id for item, _ in perhaps_too_large(plan.maker, plan.candidates)}
    chosen = next((item for item in plan.candidates if item.id not in refused), None)
    if chosen is None:
        raise LaunchError("No candidate may be simulated as it is.")
    cell = plan.first_dynamics_cell(chosen)
    engine = ladder.md.engine
    settings = ladder.settings_at(min(ladder.temperatures), candidate=chosen.whole).model_copy(
        update={"steps_per_frame": 1, "frames_per_chunk": 1}
    )
    # Not in the scratch folder, which may be one of a store that is not there yet.
    with tempfile.TemporaryDirectory(prefix="ssefw-probe-") as folder:
        run = RunDirectory(Path(folder) / "run", key="probe")
        reason = engine.md(cell, settings, run, until=1 + steps, stop=stop_check())
        if reason != "complete":
            raise LaunchError(f"The steps that were tried were broken off ({reason}).")
        times = [file.stat().st_mtime for file in run.chunk_files()]
        (segment,) = run.segments()
        cores = segment.cores or 1
    # An engine that hands over all chunks at its end tells the time of the whole only.
    spent = times[-1] - times[0]
    seconds = spent / steps if len(times) == 1 + steps else segment.wall_time / (1 + steps)
    predicted = engine.step_core_seconds(cell.composition, volume=cell.volume, is_dynamics=True)
    ratio = seconds * cores / (predicted or len(cell))
    return Pace(ratio, one_run_doubt(engine), n_steps=steps)
