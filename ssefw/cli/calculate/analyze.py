"""``ssefw analyze``: diffusivity and conductivity from trajectory files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli.numbers import CHARGE, COUNT, DECADES, HOP, LEVEL, START, TEMPERATURE, TIME_FS
from ssefw.cli.options import OUTPUT, json_option, print_json, quiet_option
from ssefw.files import replacing

if TYPE_CHECKING:
    from ssefw.analysis import Frames
    from ssefw.analysis.pymatgen_rules import PymatgenNumbers
    from ssefw.documents import Conductivity, Diffusivity

FORMATS = ("xdatcar", "vasprun", "ase", "extxyz", "lammps", "espresso")


@click.command(
    epilog="Example: ssefw analyze 600K/XDATCAR 900K/XDATCAR --temperature 600 --temperature 900 "
    "--timestep 2 --stride 10 --figure plots"
)
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--specie", default="Li", help="Element that diffuses.")
@click.option(
    "--temperature",
    "temperatures",
    type=TEMPERATURE,
    multiple=True,
    help="Temperature of the run: once for all files (segments of one run), or once a file.  "
    "[default: what the files tell]",
)
@click.option("--timestep", type=TIME_FS, help="Time step, if the files do not tell.")
@click.option("--stride", type=COUNT, help="Time steps between frames, if they do not tell.")
@click.option("--equilibration", type=START, default=0.0, help="Leave out this much.")
@click.option("--level", type=LEVEL, default=0.95, help="Confidence level.")
@click.option("--target", type=TEMPERATURE, default=300.0, help="Extrapolate to this.")
@click.option(
    "--form",
    type=click.Choice(["sigma_t", "sigma"]),
    default="sigma_t",
    help="What is a pure exponential in 1/T.",
)
@click.option("--charge", type=CHARGE, help="Charge of the ion in e.  [default: the usual one]")
@click.option("--hop-distance", type=HOP, help="Distance by which hops are counted.")
@click.option(
    "--rules",
    type=click.Choice(["pymatgen"]),
    help="Put beside it what pymatgen's DiffusionAnalyzer says.",
)
@click.option("--format", "file_format", type=click.Choice(FORMATS), help="Format of the files.")
@click.option(
    "--types", default="", show_default=False, help="Elements of LAMMPS types, such as Li,P,S."
)
@click.option("-o", "--out", type=OUTPUT, help="Write what was found here (.json).")
@click.option(
    "--figure", type=click.Path(file_okay=False, path_type=Path), help="Draw into this folder."
)
@click.option(
    "--prefactor-spread",
    type=DECADES,
    metavar="DECADES",
    help="Take D0 beforehand as that of free hops, known to so many decades; 1 is little.",
)
@click.option("--density", is_flag=True, help="Also write CHGCAR and cube files of the density.")
@quiet_option
@json_option
def command(
    *,
    files: tuple[Path, ...],
    specie: str,
    temperatures: tuple[float, ...],
    timestep: float | None,
    stride: int | None,
    equilibration: float,
    level: float,
    target: float,
    form: Any,
    charge: float | None,
    hop_distance: float | None,
    prefactor_spread: float | None,
    rules: str | None,
    file_format: str | None,
    types: str,
    out: Path | None,
    figure: Path | None,
    density: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Find diffusivity and conductivity, with intervals, from trajectory files.

    Reads XDATCAR, vasprun.xml, ASE .traj, extended XYZ, LAMMPS dumps and output of pw.x, plain or
    compressed, complete or cut off. Several temperatures give an Arrhenius fit. What is given and
    what the files tell of time and temperature must agree; frames that `ssefw results export` wrote
    tell both.
    """
    from ssefw.analysis import fit_conductivity
    from ssefw.analysis.readers import told_temperatures
    from ssefw.analysis.runs import analysis_record, analyze_run, group_runs
    from ssefw.cli.console import waiting

    if density and figure is None:
        raise click.UsageError("--density writes into the folder of --figure; name one.")
    found: list[Diffusivity] = []
    by_pymatgen: list[PymatgenNumbers] = []
    kinds = tuple(filter(None, types.split(",")))
    if not temperatures:
        temperatures = told_temperatures(files, file_format=file_format, types=kinds)
    for run in group_runs(files, temperatures):
        with waiting(f"Reading {', '.join(str(path) for path in run.paths)}", quiet=quiet):
            frames, result = analyze_run(
                run,
                specie=specie,
                timestep=timestep,
                stride=stride,
                equilibration=equilibration,
                level=level,
                hop_distance=hop_distance,
                file_format=file_format,
                types=kinds,
            )
            found.append(result)
            if rules == "pymatgen":
                by_pymatgen.append(_by_pymatgen(frames, result))
            if figure is not None:
                _draw_run(frames, result, figure, is_density_kept=density)
    fit = fit_conductivity(
        found, temperature=target, form=form, level=level, charge=charge,
        prefactor_spread=prefactor_spread,
    )  # fmt: skip
    if figure is not None:
        from ssefw.report.figures.analysis import arrhenius_figure
        from ssefw.report.style import save_figure

        save_figure(arrhenius_figure(fit), figure / "arrhenius")
    record = analysis_record(found, fit) | _pymatgen_record(by_pymatgen, fit)
    if out is not None:
        with replacing(out) as draft:
            draft.write_text(json.dumps(record, indent=2) + "\n")
    if as_json:
        print_json(record)
        return
    _print(found, fit)
    _print_pymatgen(by_pymatgen, fit)


def _by_pymatgen(frames: "Frames", result: "Diffusivity") -> "PymatgenNumbers":
    from ssefw.analysis.pymatgen_rules import pymatgen_numbers

    return pymatgen_numbers(
        frames,
        specie=result.specie,
        temperature=result.temperature,
        equilibration=result.equilibration,
    )


def _pymatgen_record(runs: "list[PymatgenNumbers]", fit: "Conductivity") -> dict[str, Any]:
    if not runs:
        return {}
    from ssefw.analysis.pymatgen_rules import pymatgen_arrhenius

    line = pymatgen_arrhenius(runs, specie=fit.specie, temperature=fit.temperature)
    record = {
        "runs": [
            {
                "temperature_K": run.temperature,
                "diffusivity_cm2_per_s": run.diffusivity,
                "charge_diffusivity_cm2_per_s": run.chg_diffusivity,
                "conductivity_S_per_cm": run.conductivity,
                "charge_conductivity_S_per_cm": run.chg_conductivity,
                "haven_ratio": run.haven_ratio,
            }
            for run in runs
        ],
        "arrhenius": line
        and {
            "temperature_K": line.temperature,
            "activation_energy_eV": line.activation_energy,
            "conductivity_S_per_cm": line.conductivity,
        },
    }
    return {"pymatgen": record}


def _print_pymatgen(runs: "list[PymatgenNumbers]", fit: "Conductivity") -> None:
    if not runs:
        return
    from ssefw.analysis.pymatgen_rules import pymatgen_arrhenius
    from ssefw.cli.console import console
    from ssefw.cli.listing import Heading, Listing

    titles = ("T (K)", "D (cm²/s)", "σ (S/cm)", "Haven ratio")
    table = Listing(
        [Heading(title, 0, "right") for title in titles],
        title="By pymatgen's DiffusionAnalyzer, without errors",
    )
    for run in sorted(runs, key=lambda run: run.temperature):
        numbers = (run.diffusivity, run.conductivity, run.haven_ratio)
        table.add(f"{run.temperature:g}", *(f"{number:.3g}" for number in numbers))
    table.show()
    if line := pymatgen_arrhenius(runs, specie=fit.specie, temperature=fit.temperature):
        console().print(
            f"σ({line.temperature:g} K) = {line.conductivity:.3g} S/cm, "
            f"E_a = {line.activation_energy:.3f} eV by its Arrhenius fit",
            highlight=False,
        )


def _draw_run(
    frames: "Frames", result: "Diffusivity", folder: Path, *, is_density_kept: bool
) -> None:
    from ssefw.analysis import density_map, slice_frames, van_hove, write_chgcar, write_cube
    from ssefw.report.figures import analysis as draw
    from ssefw.report.style import save_figure

    folder.mkdir(parents=True, exist_ok=True)
    name = f"{result.temperature:g}K"
    first = round(result.equilibration * 1000.0 / frames.timestep)
    used = slice_frames(frames, first=first) if first else frames
    save_figure(draw.msd_figure(result), folder / f"msd_{name}")
    van_hove_functions = van_hove(used, specie=result.specie)
    figure = draw.van_hove_figure(van_hove_functions, specie=result.specie)
    save_figure(figure, folder / f"van_hove_{name}")
    density = density_map(used, specie=result.specie)
    save_figure(draw.density_figure(density), folder / f"density_{name}")
    if is_density_kept:
        write_chgcar(density, folder / f"CHGCAR_{name}")
        write_cube(density, folder / f"density_{name}.cube")


def _print(found: "list[Diffusivity]", fit: "Conductivity") -> None:
    from ssefw.analysis.line.bend import remark
    from ssefw.cli.console import console, errors, show_estimate
    from ssefw.cli.listing import Heading, Listing

    out, err = console(), errors()
    table = Listing(
        [
            Heading("T (K)", 0, "right"),
            Heading("D (cm²/s)"),
            Heading("σ (S/cm)"),
            Heading("Haven ratio", 3),
            Heading("regime", 1),
            Heading("hops", 2, "right"),
            Heading("run (ps)", 4, "right"),
        ],
        title=f"Diffusion of {fit.specie}",
    )
    points = {point.temperature: point for point in fit.points}
    for result in sorted(found, key=lambda result: result.temperature):
        table.add(
            f"{result.temperature:g}",
            show_estimate(result.tracer),
            show_estimate(points[result.temperature].conductivity),
            show_estimate(result.haven),
            result.regime,
            f"{result.n_hops:.0f}",
            f"{result.duration:.4g}",
        )
    table.show()
    sigma = show_estimate(fit.conductivity)
    sign = "" if sigma.startswith(("<", ">")) else "= "
    unit = "" if fit.conductivity.kind == "undetermined" else " S/cm"
    out.print(f"σ({fit.temperature:g} K) {sign}{sigma}{unit}", highlight=False)
    if fit.collective is not None and fit.haven is not None:
        out.print(
            f"σ of ions that move together = {show_estimate(fit.collective)} S/cm, "
            f"with a Haven ratio of {show_estimate(fit.haven)}",
            highlight=False,
        )
    if fit.activation_energy.kind == "value":
        out.print(f"E_a = {show_estimate(fit.activation_energy, digits=3)} eV", highlight=False)
    out.print(f"Intervals and bounds hold at {found[0].tracer.level:.0%}.", highlight=False)
    if reach := remark(fit):
        out.print(reach, highlight=False)
    for result in found:
        for said in filter(None, (result.reason, *result.warnings)):
            err.print(f"{result.temperature:g} K: {said}", highlight=False)
    for said in filter(None, (fit.conductivity.reason, *fit.warnings)):
        err.print(said, highlight=False)
