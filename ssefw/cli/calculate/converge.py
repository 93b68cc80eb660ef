"""``ssefw converge``: cutoffs and k-points for Quantum ESPRESSO."""

from pathlib import Path

import click

from ssefw.cli.numbers import CUTOFF, SPACING, TOLERANCE
from ssefw.cli.options import OUTPUT, configured, json_option, print_json, set_option
from ssefw.cli.say import say


@click.command(epilog="Example: ssefw converge Li2S.cif --tolerance 1")
@click.argument("structure", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--tolerance", type=TOLERANCE, default=1.0, help="In meV/atom.", show_default=True)
@click.option("--cutoff", "cutoffs", type=CUTOFF, multiple=True, help="In Ry; may be repeated.")
@click.option(
    "--spacing", "spacings", type=SPACING, multiple=True,
    help="Distance of k-points (1/A); may be repeated.",
)  # fmt: skip
@set_option("engine", "smearing=0.1")
@click.option("--figure", type=OUTPUT, help="Draw both series here (.svg, .png).")
@json_option
def command(
    structure: Path,
    *,
    tolerance: float,
    cutoffs: tuple[float, ...],
    spacings: tuple[float, ...],
    options: tuple[str, ...],
    figure: Path | None,
    as_json: bool,
) -> None:
    """Find the coarsest cutoff and k-points with which an energy is converged.

    Each single point is kept: an interrupted command goes on when it is called again.
    """
    import yaml

    from ssefw.data import read_pool
    from ssefw.engines.espresso import EspressoEngine
    from ssefw.engines.espresso.convergence import CUTOFFS, SPACINGS, converge
    from ssefw.engines.stopping import install_signal_handlers

    candidate = read_pool(structure, strict=True).candidates[0]
    engine = configured(EspressoEngine, "espresso", options)
    install_signal_handlers()
    found = converge(
        engine,
        candidate.structure,
        tolerance=tolerance / 1e3,
        cutoffs=sorted(cutoffs) or CUTOFFS,
        spacings=sorted(spacings, reverse=True) or SPACINGS,
    )
    found = found.model_copy(update={"candidate_id": candidate.id})
    if figure is not None:
        from ssefw.report.figures.convergence import convergence_figure
        from ssefw.report.style import save_figure

        for path in save_figure(convergence_figure(found), figure.with_suffix("")):
            say(f"Wrote {path}", err=True)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for name, points in (("ecutwfc (Ry)", found.cutoffs), ("kspacing (1/A)", found.spacings)):
        for point in points:
            away = 1e3 * (point.energy_per_atom - points[-1].energy_per_atom)
            say(f"{name} {point.setting:g}: {away:+.2f} meV/atom", err=True)
    chosen = {"ecutwfc": found.ecutwfc, "ecutrho": found.ecutrho, "kspacing": found.kspacing}
    say(f"options: {yaml.safe_dump(chosen, default_flow_style=True).strip()}")
