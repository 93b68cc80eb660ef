"""What the scripts of a candidate's page ask for: its curves, its crystal, its trajectories."""

import io
from collections.abc import Iterator
from itertools import chain
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ssefw.campaigns.file import campaign_of
from ssefw.documents import Diffusivity, Document, Outcome, Trajectory
from ssefw.serve.crystals import crystal, moves
from ssefw.serve.curves import arrhenius_curves, growth_curve, msd_curves
from ssefw.serve.render import board_of, shared, view_of
from ssefw.store.frames.trajectories import TrajectoryStore

__all__ = [
    "CandidateRecords",
    "cif_of",
    "crystal_of",
    "curves_of",
    "frames_file",
    "growth_of",
    "moves_of",
]

D = TypeVar("D", bound=Document)

"""Of campaigns without conductivities."""


class CandidateRecords:
    """What the store holds of the candidate that an address names.

    Attributes
    ----------
    outcome
        The last one, if there is any.
    runs
        Diffusivities: of the outcome, or those that there are so far.
    ledgers
        Trajectories by key, in the order of their temperature.

    Raises
    ------
    HTTPException
        If there is no such candidate.
    """

    def __init__(self, request: Request) -> None:
        view = view_of(request)
        line = view.lines.get(request.path_params["candidate"])
        if line is None:
            raise HTTPException(404, f"The campaign {view.campaign!r} has no such candidate.")
        self.line = line
        self.view = view
        self._results = board_of(request).connection.results
        found = list(self._find(Outcome))
        self.outcome = found[-1] if found else None

    def _find(self, kind: type[D]) -> Iterator[D]:
        key = self.line.candidate_id
        return self._results.find(kind, campaign=self.view.campaign, candidate=key)

    @property
    def runs(self) -> tuple[Diffusivity, ...]:
        """Diffusivities by temperature."""
        runs = self.outcome.diffusivities if self.outcome else ()
        runs = runs or tuple(self._find(Diffusivity))
        return tuple(sorted(runs, key=lambda run: run.temperature))

    @property
    def ledgers(self) -> dict[str, Trajectory]:
        """Trajectories by key; of one that was continued, the longest."""
        found: dict[str, Trajectory] = {}
        for ledger in self._find(Trajectory):
            if ledger.key not in found or ledger.n_frames >= found[ledger.key].n_frames:
                found[ledger.key] = ledger
        return dict(sorted(found.items(), key=lambda item: item[1].temperature))


def curves_of(request: Request) -> Response:
    """Return the displacements and the conductivities of a candidate."""
    return shared(request, view_of(request), lambda: _curves_of(request))


def _curves_of(request: Request) -> Response:
    records = CandidateRecords(request)
    return JSONResponse(
        {"msd": msd_curves(records.runs), "arrhenius": arrhenius_curves(records.outcome)}
    )


def growth_of(request: Request) -> Response:
    """Return the diffusivities of a candidate's runs over simulated time, and the curves of now.

    Runs that go on are taken from their folders; the others from the store.
    """
    return shared(request, view_of(request), lambda: _growth_of(request))


def _growth_of(request: Request) -> Response:
    records = CandidateRecords(request)
    going_on = {
        run.key: run
        for run in records.view.now.running
        if run.candidate_id == records.line.candidate_id
    }
    ledgers = records.ledgers
    spec = campaign_of(records.view.record)
    level = spec.conductivity.level
    growing = request.app.state.growing
    found = [
        growth_curve(estimates, going_on.get(key))
        for key in dict.fromkeys([*going_on, *ledgers])
        if (estimates := growing.look(key, ledgers.get(key), specie=spec.specie, level=level))
    ]
    return JSONResponse(sorted(found, key=lambda one: float(one["temperature"])))


def crystal_of(request: Request) -> Response:
    """Return the relaxed cell of a candidate, or that in which its dynamics began."""
    records = CandidateRecords(request)
    outcome = records.outcome
    if outcome is not None and outcome.relaxed is not None:
        return JSONResponse(crystal(outcome.relaxed.structure))
    for ledger in records.ledgers.values():
        return JSONResponse(crystal(ledger.structure))
    raise HTTPException(404, "No cell of it has been computed yet.")


def moves_of(request: Request) -> Response:
    """Return the frames of a trajectory of a candidate."""
    ledger = CandidateRecords(request).ledgers.get(request.path_params["key"])
    if ledger is None or not ledger.n_frames:
        raise HTTPException(404, "It has no such trajectory.")
    return JSONResponse(moves(ledger, TrajectoryStore(board_of(request).connection.blobs)))


def frames_file(request: Request) -> Response:
    """Return the frames of a trajectory behind its equilibration as extended XYZ."""
    # What writes them knows the potentials that may be asked for forces, and ASE with them.
    from ssefw.report.training_frames import Frame, frames_of, write_frame  # noqa: PLC0415

    def text_of(frame: Frame) -> str:
        text = io.StringIO()
        write_frame(frame, text)
        return text.getvalue()

    records = CandidateRecords(request)
    ledger = records.ledgers.get(request.path_params["key"])
    if ledger is None:
        raise HTTPException(404, "It has no such trajectory.")
    frames = frames_of(ledger, TrajectoryStore(board_of(request).connection.blobs))
    # The first is read here: that there is none is said by a page, and not by a broken file.
    pieces = chain([text_of(next(frames))], map(text_of, frames))
    name = f"{records.line.formula}-{ledger.temperature:g}K-{ledger.key[:8]}.extxyz"
    return StreamingResponse(pieces, media_type="chemical/x-xyz", headers=saved_as(name))


def saved_as(name: str) -> dict[str, str]:
    """Return the header that makes a browser save an answer under a name."""
    return {"content-disposition": f'attachment; filename="{name.replace("/", "-")}"'}


def cif_of(request: Request) -> Response:
    """Return the relaxed cell of a candidate as a CIF."""
    records = CandidateRecords(request)
    if records.outcome is None or records.outcome.relaxed is None:
        raise HTTPException(404, "It has not been relaxed yet.")
    name = f"{records.line.formula}-{records.line.candidate_id[:8]}.cif"
    return Response(
        records.outcome.relaxed.structure.to(fmt="cif"),
        media_type="chemical/x-cif",
        headers=saved_as(name),
    )
