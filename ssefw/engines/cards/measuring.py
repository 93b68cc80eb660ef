"""Measure how far a potential is from its references."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import yaml
from ase import Atoms
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from ssefw.data.hops import find_hops
from ssefw.documents import BarrierCheck, ForceCheck, PotentialCard, Provenance, VolumeCheck
from ssefw.engines.ase import AseEngine
from ssefw.engines.base import NebSettings
from ssefw.engines.cards.references import Crystal, crystals, frames_with_forces
from ssefw.engines.migration import MigrationSettings, hop_barrier
from ssefw.engines.potentials.names import POTENTIALS
from ssefw.engines.stopping import never_stop
from ssefw.errors import EngineError, SsefwError

__all__ = ["measured_card", "shipped_card"]

FloatArray = npt.NDArray[np.float64]

_SHIPPED = Path(__file__).parent / "shipped"
"""What `ssefw potential card NAME --barriers --json` printed."""
_RELAXED = 0.01
"""eV/A: volumes do not change beyond a tenth of a per cent below it."""
_BAND = MigrationSettings(
    min_length=9.0, n_images=5, end_fmax=0.02, path="idpp", band=NebSettings(fmax=0.05)
)
_LONGEST_HOP = 6.0
_REFUSALS = (ArithmeticError, LookupError, NotImplementedError, RuntimeError, ValueError)
"""What calculators of others raise where they do not know an element."""


def shipped_card(potential: str) -> PotentialCard | None:
    """Return the card that came with ssefw; None if there is none of this potential."""
    file = _SHIPPED / f"{potential}.yaml"
    if potential not in POTENTIALS or not file.exists():
        return None
    return PotentialCard.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))


def measured_card(engine: AseEngine, *, barriers: bool = False) -> PotentialCard:
    """Measure a card, in a minute or so; with barriers in some ten more.

    Parameters
    ----------
    engine
        Whose potential is measured.
    barriers
        Whether bands of the vacancy hops with a published barrier are relaxed, too.

    Examples
    --------
    >>> card = measured_card(AseEngine(calculator="ase.calculators.lj.LennardJones"))
    >>> len(card.volumes) + len(card.forces) > 10
    True
    """
    left_out: list[str] = []
    volumes: list[VolumeCheck] = []
    forces: list[ForceCheck] = []
    hops: list[BarrierCheck] = []
    for crystal in crystals():
        if crystal.measured:
            with _noted(f"volume of {crystal.name}", left_out):
                volumes.append(_volume(engine, crystal))
        if barriers and crystal.barrier is not None:
            with _noted(f"barrier of {crystal.name}", left_out):
                hops.append(_barrier(engine, crystal, crystal.barrier))
    for name, frames in frames_with_forces().items():
        with _noted(f"forces of {name}", left_out):
            forces.append(_forces(engine, name, frames))
    return PotentialCard(
        potential=engine.name,
        volumes=tuple(volumes),
        forces=tuple(forces),
        barriers=tuple(hops),
        left_out=tuple(left_out),
        provenance=Provenance(engine=engine.name, versions=engine.versions()),
    )


@contextmanager
def _noted(what: str, left_out: list[str]) -> Iterator[None]:
    """Keep the reason for which one reference was not computed: an element that is not known."""
    try:
        yield
    except (SsefwError, *_REFUSALS) as error:
        left_out.append(f"{what}: {' '.join(str(error).split()) or type(error).__name__}"[:300])


def _volume(engine: AseEngine, crystal: Crystal) -> VolumeCheck:
    structure = crystal.structure
    relaxed = _relaxed(engine, structure)
    return VolumeCheck(
        compound=crystal.name,
        measured=structure.volume / len(structure),
        computed=relaxed.volume / len(relaxed),
    )


def _relaxed(engine: AseEngine, structure: Structure) -> Structure:
    result = engine.relax(structure, fmax=_RELAXED, max_steps=500, relax_cell=True)
    if not result.converged:
        raise EngineError(f"It does not relax to {_RELAXED:g} eV/A in {result.n_steps} steps.")
    return result.structure


def _forces(engine: AseEngine, name: str, frames: tuple[Atoms, ...]) -> ForceCheck:
    own = []
    for frame in frames:
        structure = AseAtomsAdaptor.get_structure(frame)
        with engine.calculating(structure, task="static", directory=None, stop=never_stop) as atoms:
            own.append(_finite(atoms.get_forces()).ravel())
    reference = np.concatenate([frame.get_forces().ravel() for frame in frames])
    computed = np.concatenate(own)
    return ForceCheck(
        compound=name,
        slope=float(computed @ reference / (reference @ reference)),
        error=float(np.sqrt(np.mean((computed - reference) ** 2))),
        size=float(np.sqrt(np.mean(reference**2))),
    )


def _finite(forces: FloatArray) -> FloatArray:
    if not np.isfinite(forces).all():
        raise EngineError("Its forces are no numbers.")
    return forces


def _barrier(engine: AseEngine, crystal: Crystal, published: float) -> BarrierCheck:
    relaxed = _relaxed(engine, crystal.structure)
    shortest = min(find_hops(relaxed, max_length=_LONGEST_HOP), key=lambda kind: kind.hop.length)
    with TemporaryDirectory(prefix="ssefw-card-") as folder:
        band = hop_barrier(engine, relaxed, shortest, Path(folder), settings=_BAND)
    if band.forward is None:
        raise EngineError(f"Its band has no barrier: {band.reason}")
    return BarrierCheck(compound=crystal.name, published=published, computed=band.forward)
