"""The story of a candidate as lines of text, for who reads it on a terminal."""

from collections.abc import Iterator
from typing import Any

__all__ = ["story_lines"]

INDENT = "  "


def story_lines(story: dict[str, Any]) -> Iterator[str]:
    """Yield a story of `ssefw.report.story.candidate_stories`, the answer first."""
    yield f"{story['formula']}  {story['candidate_id']}  in campaign {story['campaign']}"
    yield _entry("outcome", ": ".join(filter(None, (story["status"], story["reason"]))))
    if story["sigma_s_per_cm"]:
        name = f"sigma({story['temperature_k']:g} K)"
        yield _entry(name, _estimate(story["sigma_s_per_cm"], "S/cm"))
        if story["extrapolation"]:
            alone = _estimate(story["sigma_of_straight_line_s_per_cm"], "S/cm")
            far = story["extrapolation"]
            how = "simulated directly" if far == "direct" else f"{far} extrapolation"
            yield _entry("", f"{how}; the runs alone: {alone}")
        if story["sigma_collective_s_per_cm"]:
            together = _estimate(story["sigma_collective_s_per_cm"], "S/cm")
            ratio = _estimate(story["haven_ratio"], "")
            yield _entry("", f"of ions that move together: {together}; Haven ratio {ratio}")
        if story["expectation"]:
            seen = _estimate(story["sigma_expected_in_experiment_s_per_cm"], "S/cm")
            yield _entry("", f"in experiment one would expect {seen}; {story['expectation']}")
        yield _entry("E_a", _estimate(story["activation_energy_ev"], "eV"))
    yield from _block("confirmed", (_confirmation(look) for look in story["confirmations"]))
    for warning in story["warnings"]:
        yield _entry("warning", warning)
    yield from _origin(story)
    if story["taught"]:
        yield _entry("taught", story["taught"])
    yield from _block("gates", (_gate(gate) for gate in story["gates"]))
    yield from _block("arrangements", (_arrangement(a) for a in story.get("arrangements", ())))
    if relaxed := story["relaxation"]:
        state = "converged" if relaxed["converged"] else "not converged"
        yield _entry(
            "relaxation",
            f"{state} in {relaxed['n_steps']} steps, {relaxed['energy_per_atom']:.4f} eV/atom, "
            f"volume {relaxed['volume_change']:+.1%}",
        )
    yield from _block("runs", (_run(run) for run in story["trajectories"]))
    yield from _block("diffusivities", (_point(point) for point in story["diffusivities"]))
    if barrier := story["barrier_ev"]:
        levels = (
            f"{key} {_estimate(value, 'eV')}"
            for key, value in barrier.items()
            if isinstance(value, dict) and "kind" in value
        )
        yield from _block("barriers", levels)
    yield from _block(
        "failures", (f"{item['stage']}: {item['message']}" for item in story["failures"])
    )
    cost = story["cost"]
    yield _entry("cost", f"{cost['core_hours']:.3g} core-hours, {cost['md_steps']} steps")
    yield from _block(
        "labels", (f"{label['kind']} in {label['label_set']}" for label in story["labels"])
    )
    places = (
        f"place {place['before'] or '-'} to {place['after'] or '-'}: {place['why']}"
        for place in story["rankings"]
    )
    yield from _block("rankings", iter(dict.fromkeys(places)))


def _arrangement(item: dict[str, Any]) -> str:
    above = item["above_lowest_ev_per_atom"]
    sigma = item["sigma_s_per_cm"]
    told = [
        "not relaxed" if above is None else f"{1000 * above:.2f} meV/atom above the lowest",
        f"sigma {_estimate(sigma, 'S/cm')}" if sigma else "",
        item["reason"],
    ]
    return f"{item['index']}: {', '.join(filter(None, told))}"


def _confirmation(look: dict[str, Any]) -> str:
    number = look["arrangement"]
    where = f"{look['temperature_k']:g} K" + ("" if number is None else f" #{number}")
    says = {True: "agrees", False: "does not agree", None: "does not say"}[look["agrees"]]
    return (
        f"{says}: D at {where} in {look['n_atoms']} atoms by {look['engine']} over that in "
        f"{look['n_atoms_before']}: {_estimate(look['ratio'], '')}"
    )


def _origin(story: dict[str, Any]) -> Iterator[str]:
    if planned := story["planned"]:
        named = [planned["source"], *planned["aliases"], planned["reference"]]
        yield _entry("from", ", ".join(filter(None, named)))
    provenance = story["provenance"]
    versions = ", ".join(f"{name} {number}" for name, number in provenance["versions"].items())
    yield _entry("computed", f"{provenance['created'][:16]} by {provenance['engine']} ({versions})")


def _entry(name: str, text: str) -> str:
    return f"{INDENT}{name:<14} {text}"


def _block(name: str, rows: Iterator[str]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield _entry("" if number else name, row)


def _gate(gate: dict[str, Any]) -> str:
    return f"{gate['name']} {'passed' if gate['passed'] else 'failed'}: {gate['message']}"


def _run(run: dict[str, Any]) -> str:
    ends = ", ".join(segment["ended"] for segment in run["segments"])
    return (
        f"{_where(run)}: {run['steps']} of {run['target_steps']} steps, "
        f"{run['frames']} frames, {len(run['segments'])} segments ({ends}), {run['key']}"
    )


def _point(point: dict[str, Any]) -> str:
    found = _estimate(point["diffusivity_cm2_per_s"], "cm^2/s")
    said = f"{_where(point)}: {found}, {point['regime']}, {point['n_hops']:.3g} hops"
    return "; ".join([said, *point["warnings"]])


def _where(run: dict[str, Any]) -> str:
    number = run["arrangement"]
    return f"{run['temperature_k']:g} K" + ("" if number is None else f" #{number}")


def _estimate(estimate: dict[str, Any] | None, unit: str) -> str:
    if estimate is None or estimate["kind"] == "undetermined":
        why = estimate["reason"] if estimate else ""
        return f"undetermined ({why})" if why else "undetermined"
    level = f"({estimate['level']:.0%})"
    unit = f" {unit}" if unit else ""
    if estimate["kind"] == "upper_bound":
        return f"< {estimate['upper']:.2g}{unit} {level}"
    if estimate["kind"] == "lower_bound":
        return f"> {estimate['lower']:.2g}{unit} {level}"
    return (
        f"{estimate['value']:.2g} [{estimate['lower']:.2g}, {estimate['upper']:.2g}]{unit} {level}"
    )
