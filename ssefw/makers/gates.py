"""Decisions to go on with a candidate or not, each with the numbers it was made on."""

from collections.abc import Iterable

from ssefw.documents import Barrier, Diffusivity, Gate, RelaxResult

__all__ = [
    "barrier_gate",
    "failed",
    "neb_gate",
    "relaxation_gate",
    "triage_gate",
]


def failed(gates: Iterable[Gate]) -> Gate | None:
    """Return the first gate that rejected."""
    return next((gate for gate in gates if not gate.passed), None)


def barrier_gate(barrier: Barrier, *, max_barrier: float) -> Gate:
    """Pass a structure whose lowest percolation barrier is at most `max_barrier` (eV)."""
    lowest = barrier.barrier_1d
    numbers = {"max_barrier_ev": max_barrier}
    if lowest.kind != "value" or lowest.value is None:
        return Gate(
            name="bvse",
            passed=False,
            code="no_path",
            message=f"{barrier.specie} finds no way through: {lowest.reason or lowest}",
            numbers=numbers,
        )
    numbers["barrier_1d_ev"] = lowest.value
    passed = lowest.value <= max_barrier
    return Gate(
        name="bvse",
        passed=passed,
        code="ok" if passed else "barrier",
        message=(
            f"lowest bond-valence barrier {lowest.value:.2f} eV, "
            f"{'at most' if passed else 'above'} {max_barrier:g} eV"
        ),
        numbers=numbers,
    )


def neb_gate(barrier: Barrier, *, max_barrier: float) -> Gate:
    """Pass a candidate whose barrier from NEB, on the easiest way, is at most so high (eV).

    One without a value passes: that bands did not converge says nothing of the material.
    """
    lowest = barrier.barrier_1d
    numbers = {"max_barrier_ev": max_barrier}
    if lowest.value is None:
        message = f"the barrier from NEB is not known: {lowest.reason}"
        return Gate(name="neb", passed=True, code="undetermined", message=message, numbers=numbers)
    numbers["barrier_1d_ev"] = lowest.value
    passed = lowest.value <= max_barrier
    return Gate(
        name="neb",
        passed=passed,
        code="ok" if passed else "barrier",
        message=(
            f"lowest barrier from NEB {lowest.value:.2f} eV, "
            f"{'at most' if passed else 'above'} {max_barrier:g} eV"
        ),
        numbers=numbers,
    )


def relaxation_gate(relaxed: RelaxResult, *, max_volume_change: float, max_force: float) -> Gate:
    """Pass a structure that stayed itself and lost its forces.

    Forces may exceed the goal of the relaxation (a run at the limit of its steps), but not
    `max_force` (eV/A), from which dynamics would start with a kick.
    """
    change = relaxed.volume_change
    numbers = {
        "volume_change": change,
        "max_volume_change": max_volume_change,
        "force_ev_per_angstrom": relaxed.max_force,
        "max_force_ev_per_angstrom": max_force,
    }
    if abs(change) > max_volume_change:
        code = "volume_change"
        message = f"the volume changed by {change:+.0%} on relaxation; {max_volume_change:.0%} may"
    elif relaxed.max_force > max_force:
        code = "not_relaxed"
        message = f"a force of {relaxed.max_force:.2f} eV/A remains after {relaxed.n_steps} steps"
    else:
        code = "ok"
        message = f"volume {change:+.1%}, largest force {relaxed.max_force:.3f} eV/A"
    return Gate(name="relaxation", passed=code == "ok", code=code, message=message, numbers=numbers)


def triage_gate(diffusivity: Diffusivity, *, min_hops: float) -> Gate:
    """Pass a material whose ions hop at the triage temperature.

    One that does not is no failure: its run gives an upper bound, and the other temperatures would
    give nothing more.
    """
    hops = diffusivity.n_hops
    if diffusivity.regime == "melted":
        passed, code = True, "melted"
        message = f"the framework melted at {diffusivity.temperature:g} K; lower temperatures go on"
    else:
        passed = hops >= min_hops
        code = "ok" if passed else "too_few_hops"
        message = (
            f"{hops:.2g} hops in {diffusivity.duration:.4g} ps at {diffusivity.temperature:g} K, "
            f"{min_hops:g} asked for"
        )
    return Gate(
        name="triage",
        passed=passed,
        code=code,
        message=message,
        numbers={"n_hops": hops, "min_hops": min_hops, "temperature_k": diffusivity.temperature},
    )
