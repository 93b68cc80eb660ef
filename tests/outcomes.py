"""Outcomes as campaigns leave them, without the dynamics."""

from ssefw.documents import (
    ArrheniusPoint,
    Conductivity,
    Diffusivity,
    Estimate,
    Outcome,
    Provenance,
    RelaxResult,
)

ENGINE = "chgnet-0.3.0"


def value(number, *, decades=0.3, unit="S/cm"):
    return Estimate(value=number, lower=number / 10**decades, upper=number * 10**decades, unit=unit)


def bound(number):
    return Estimate.below(number, unit="S/cm", reason="no hops")


def diffusivity(temperature, tracer=None, **changes):
    fields = {
        "specie": "Li",
        "temperature": temperature,
        "tracer": tracer or Estimate.undetermined("made up", unit="cm^2/s"),
        "regime": "diffusive",
        "n_mobile": 20,
        "n_atoms": 100,
        "volume": 1000.0,
        "n_frames": 1000,
        "duration": 100.0,
        "n_hops": 100.0,
        "hop_distance": 3.0,
    }
    return Diffusivity(**(fields | changes))


def relaxation(structure, *, wall_time=0.0):
    """Return a relaxation that found the structure relaxed already; wall time in seconds."""
    return RelaxResult(
        structure=structure,
        energy=0.0,
        energy_per_atom=0.0,
        converged=True,
        n_steps=1,
        max_force=0.0,
        volume_change=0.0,
        wall_time=wall_time,
    )


def conductivity(sigma, *, temperature=300.0, specie="Li", used=(600.0, 750.0, 900.0)):
    nothing = Estimate.undetermined("made up", unit="cm^2/s")
    return Conductivity(
        specie=specie,
        temperature=temperature,
        conductivity=sigma,
        activation_energy=Estimate.undetermined("made up", unit="eV"),
        prefactor=nothing,
        points=tuple(
            ArrheniusPoint(temperature=t, diffusivity=nothing, conductivity=sigma, is_used=True)
            for t in used
        ),
        carrier_charge=1.0,
        n_mobile=20,
        volume=1000.0,
    )


def outcome(
    formula,
    sigma=None,
    *,
    candidate_id="",
    campaign="x",
    status=None,
    reason="",
    engine=ENGINE,
    melted=(),
    **fit,
):
    """Return an outcome; `sigma` is an estimate, or a number with an interval around it."""
    if isinstance(sigma, float):
        sigma = value(sigma)
    found = status or (
        "undetermined" if sigma is None else "determined" if sigma.kind == "value" else "bound"
    )
    return Outcome(
        candidate_id=candidate_id or f"id-{formula}",
        formula=formula,
        campaign=campaign,
        status=found,
        reason=reason,
        conductivity=None if sigma is None else conductivity(sigma, **fit),
        diffusivities=tuple(diffusivity(t, regime="melted") for t in melted),
        provenance=Provenance(engine=engine),
    )
