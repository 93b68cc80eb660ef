"""From the bands of its hops to the barrier of crossing a crystal."""

from collections.abc import Mapping, Sequence

from pymatgen.core import Structure

from ssefw.data.defects import crystal_of
from ssefw.data.hops import HopClass, percolation_levels
from ssefw.documents import Barrier, Estimate, NebPath, Provenance
from ssefw.engines.migration.hop_records import hop_record
from ssefw.errors import AnalysisError

__all__ = ["percolation_barrier"]

RECENT = 5
"""Iterations over which a band shows how settled it is."""

SETTLED = 1e-3
"""No barrier is better than this (eV)."""


def percolation_barrier(
    structure: Structure,
    bands: Mapping[HopClass, NebPath],
    *,
    specie: str = "Li",
    missing: Sequence[HopClass] = (),
    candidate_id: str = "",
    provenance: Provenance | None = None,
) -> Barrier:
    """Join the barriers of hops to that of the crystal, in one, two and three dimensions.

    Parameters
    ----------
    bands
        Of each class of hops that was calculated; those without a barrier do not count.
    missing
        Classes that were not calculated.

    Raises
    ------
    AnalysisError
        If no hop has a barrier.
    """
    barriers: dict[HopClass, tuple[float, float]] = {}
    for kind, band in bands.items():
        if band.forward is not None and band.reverse is not None:
            # A minimum on the way is where the ion will sit: the saddle counts from there.
            dip = max(0.0, min(band.energies[0], band.energies[-1]) - min(band.energies))
            forward, reverse = band.forward + dip, band.reverse + dip
            mean = (forward + reverse) / 2
            barriers[kind] = (mean, mean) if kind.symmetric else (forward, reverse)
    if not barriers:
        msg = f"None of {len(bands)} hops has a barrier: " + "; ".join(
            band.reason for band in bands.values()
        )
        raise AnalysisError(msg)
    width = max(_uncertainty(kind, bands[kind]) for kind in barriers)
    estimates = [
        Estimate.undetermined(
            "the hops that were calculated do not cross the crystal this way", unit="eV"
        )
        if level is None
        else Estimate(
            value=level,
            lower=level - width,
            upper=level + width,
            unit="eV",
            method="resolution and convergence of the bands; not the error of the engine",
        )
        for level in percolation_levels(barriers)
    ]
    failed = [kind for kind in bands if kind not in barriers]
    warnings = [
        f"No barrier of the {kind.hop.length:.2f} A hop: {bands[kind].reason}" for kind in failed
    ]
    warnings += [
        f"{kind.hop.length:.2f} A hop: {warning}"
        for kind in barriers
        for warning in bands[kind].warnings
    ]
    if missing:
        shortest = min(kind.hop.length for kind in missing)
        warnings.append(
            f"{len(missing)} other classes of hops, from {shortest:.2f} A on, were not calculated: "
            "a way through them may be lower."
        )
    return Barrier(
        candidate_id=candidate_id,
        formula=crystal_of(structure).composition.reduced_formula,
        specie=specie,
        method="neb",
        barrier_1d=estimates[0],
        barrier_2d=estimates[1],
        barrier_3d=estimates[2],
        warnings=tuple(warnings),
        bands=tuple(
            band.model_copy(update={"structures": (), "hop": hop_record(kind)})
            for kind, band in bands.items()
        ),
        wall_time=sum(band.wall_time for band in bands.values()),
        provenance=provenance or next(iter(bands.values())).provenance,
    )


def _uncertainty(kind: HopClass, band: NebPath) -> float:
    """Return how far (eV) a barrier may be off for reasons that lie in the band itself.

    The largest of what the images leave unresolved, what the barrier still changed in its last
    iterations, and the difference of both directions where symmetry makes them one.
    """
    recent = [record.highest for record in band.history[-RECENT:]]
    parts = [SETTLED, band.unresolved or 0.0, max(recent, default=0.0) - min(recent, default=0.0)]
    if kind.symmetric and band.forward is not None and band.reverse is not None:
        parts.append(abs(band.forward - band.reverse) / 2)
    return max(parts)
