"""``ssefw screen patterns`` and ``votes``: the nearest labeled conductor, and how members vote."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssefw.cli.numbers import COUNT, COUNT_OR_NONE
from ssefw.cli.options import OUTPUT, json_option, print_json
from ssefw.cli.say import say
from ssefw.cli.screen.inputs import PATH, readable_rows
from ssefw.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ssefw.data.materials import Material
    from ssefw.screening.xrdmatch.screener import XRDMatchScreener


@click.command(
    "patterns",
    epilog="Example: ssefw screen patterns xrd.model pool.jsonl.gz --votes 5 --figure panels.svg",
)
@click.argument("model", type=PATH)
@click.argument("pool", type=PATH)
@click.option(
    "--votes",
    "fewest",
    type=COUNT_OR_NONE,
    default=5,
    help="Only materials with so many votes.",
)
@click.option("--top", type=COUNT, default=21, help="Length of the table and number of panels.")
@click.option("-o", "--out", type=OUTPUT, help="Write the whole table (.csv).")
@click.option("--figure", type=OUTPUT, help="Draw patterns above their nearest conductor's.")
@json_option
def patterns(
    *,
    model: Path,
    pool: Path,
    fewest: int,
    top: int,
    out: Path | None,
    figure: Path | None,
    as_json: bool,
) -> None:
    """List what the networks vote for, with the labeled conductor of most similar pattern.

    POOL may be measured patterns: a file or a folder of files (.xy, .xye, .dat, .txt) with two
    columns, 2 theta in degrees and intensity, measured with the wavelength of the model.
    """
    screener = _xrdmatch(model)
    materials, own, problems = _patterns(screener, pool)
    scores = screener.score_patterns(materials, own, problems)
    if scores.problems:
        say(f"{len(scores.problems)} materials have no powder pattern", err=True)
    votes = scores.votes
    if votes is None:
        raise ConfigurationError(f"The model {model} does not vote.")
    order = [
        row
        for row in sorted(
            range(len(materials)), key=lambda r: (-int(votes[r]), -scores.probability[r])
        )
        if row not in scores.problems and votes[row] >= fewest
    ]
    if not order:
        raise DataError(
            f"No material of {pool} has {fewest} votes of {scores.n_votes}. Lower --votes."
        )
    lines: list[dict[str, object]] = [
        {
            "name": materials[row].name,
            "formula": materials[row].formula and materials[row].composition.reduced_formula,
            "votes": int(votes[row]),
            "n_votes": scores.n_votes,
            "probability": round(float(scores.probability[row]), 4),
            "mean_probability": round(float(scores.details["mean_probability"][row]), 4),
            "similarity": round(float(scores.details["similarity"][row]), 4),
            "nearest_conductor": str(scores.details["nearest_conductor"][row]),
        }
        for row in order
    ]
    if out:
        from ssefw.files.tables import write_table

        write_table(out, lines)
    if figure:
        with_pattern = [row for row in range(len(materials)) if row not in problems]
        places = [with_pattern.index(row) for row in order[:top]]
        _draw_panels(screener, own[places], lines[:top], figure)
    say(f"{len(order)} of {len(materials)} materials have {fewest} votes or more", err=True)
    if as_json:
        for line in lines[:top]:
            print_json(line)
        return

    from ssefw.cli.listing import Heading, Listing

    shown = Listing(
        [
            Heading("name", 1),
            Heading("formula"),
            Heading("votes", 0, "right"),
            Heading("of", 0, "right"),
            Heading("probability", 3, "right"),
            Heading("mean probability", 4, "right"),
            Heading("similarity", 2, "right"),
            Heading("nearest conductor"),
        ],
        caption=f"{scores.meaning}; similarity: cosine of patterns smoothed by 1 degree",
    )
    for line in lines[:top]:
        shown.add(*line.values())
    shown.show()


@click.command(
    "votes", epilog="Example: ssefw screen votes xrd.model --labels test.csv --figure votes.svg"
)
@click.argument("model", type=PATH)
@click.option("--labels", "label_set", required=True, metavar="SET", help="Labels: file or name.")
@click.option("--structures", type=PATH, help="Zip or folder of CIFs named by the labels' ids.")
@click.option("--figure", type=OUTPUT, required=True, help="Confusion and votes (.svg, .png).")
@json_option
def votes_command(
    *, model: Path, label_set: str, structures: Path | None, figure: Path, as_json: bool
) -> None:
    """Draw how the members of a model vote on labels, and the confusion of their majority."""
    from ssefw.data.dataset import dataset_of
    from ssefw.data.labels.sources import find_label_set
    from ssefw.report.figures.xrdmatch import draw_votes
    from ssefw.screening.base import load_screener, usable_rows

    screener = load_screener(model)
    labels = find_label_set(label_set, structures=structures)
    data = dataset_of(labels, threshold=screener.trained_on["threshold"])
    data, left_out = usable_rows(screener, data)
    for what, count in left_out.items():
        say(f"{count} labels have {what} and are left out", err=True)
    scores = screener.score(data.materials)
    if scores.votes is None or scores.n_votes is None:
        raise ConfigurationError(f"The system {screener.name!r} does not vote.")
    good = [row for row in range(len(data)) if row not in scores.problems]
    if scores.problems:
        say(f"{len(scores.problems)} labels cannot be scored and are left out", err=True)
    draw_votes(data.y[good], scores.votes[good], n_votes=scores.n_votes, path=figure)
    if as_json:
        for row in good:
            print_json(
                {
                    "formula": data.materials[row].formula,
                    "superionic": bool(data.y[row]),
                    "votes": int(scores.votes[row]),
                    "n_votes": scores.n_votes,
                }
            )
    say(f"votes on {len(good)} labels drawn to {figure}", err=as_json)


def _xrdmatch(model: Path) -> "XRDMatchScreener":
    from ssefw.screening.base import load_screener
    from ssefw.screening.xrdmatch.screener import XRDMatchScreener

    screener = load_screener(model)
    if not isinstance(screener, XRDMatchScreener):
        raise ConfigurationError(
            f"{model} is a model of the system {screener.name!r}, which sees no patterns. Train "
            "one with --system xrdmatch."
        )
    return screener


def _patterns(
    screener: "XRDMatchScreener", pool: Path
) -> "tuple[list[Material], NDArray[np.float32], dict[int, str]]":
    """Return materials, the patterns of those that have one, and why the others have none."""
    from ssefw.data.materials import Material
    from ssefw.screening.xrdmatch.pattern_files import pattern_files, read_pattern_files

    if files := pattern_files(pool):
        step = screener.ensemble.step
        own = read_pattern_files(files, screener.grid, bin_width=step)
        # A measured pattern has no formula.
        return [Material(name=file.stem, formula="") for file in files], own, {}
    materials = readable_rows(pool)
    return materials, *screener.patterns(materials)


def _draw_panels(
    screener: "XRDMatchScreener",
    own: "NDArray[np.float32]",
    lines: "list[dict[str, object]]",
    figure: Path,
) -> None:
    import numpy as np

    from ssefw.report.figures.xrdmatch import draw_similar

    formulas, known = screener.conductors
    nearest, _ = screener.nearest_conductors(own)
    titles = [
        (
            f"{line['formula'] or line['name']}, {line['votes']} of {line['n_votes']} votes",
            f"{formulas[row]}, similarity {line['similarity']:.2f}",
        )
        for line, row in zip(lines, nearest, strict=True)
    ]
    angles = screener.grid.start + screener.ensemble.step * (np.arange(own.shape[1]) + 0.5)
    draw_similar(titles, own, known[nearest], angles=angles, path=figure)
