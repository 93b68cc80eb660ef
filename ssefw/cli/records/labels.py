"""``ssefw labels``: known conductivities, from published tables to versioned sets and splits."""

from pathlib import Path
from typing import Any

import click

from ssefw.cli.numbers import CONDUCTIVITY, COUNT, FOLDS, SEED
from ssefw.cli.options import OUTPUT, json_option, print_json, quiet_option
from ssefw.cli.say import say

PATH = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Import, look at and split known conductivities.

    A SET is 'starter' (ships with ssefw), 'obelix' (through the package obelix-data), or a file:
    a set that was imported, or a table of conductivities.
    """


@command.command(
    "import", epilog="Example: ssefw labels import train.csv --structures cifs.zip -o labels.json"
)
@click.argument("table", type=PATH)
@click.option("--structures", type=PATH, help="Zip or folder of CIFs named by row id.")
@click.option(
    "--clusters",
    type=PATH,
    multiple=True,
    help="Table with 'cluster' by id, such as an official split; may be given several times.",
)
@click.option("--name", help="Name of the set.  [default: the file's]")
@click.option("--keep-duplicates", is_flag=True, help="Keep every report of one material.")
@click.option("--extrapolate", is_flag=True, help="Bring several temperatures to 298.15 K.")
@click.option("-o", "--out", type=OUTPUT, required=True, help="Where to write it (.json[.gz]).")
@quiet_option
@json_option
def import_(
    *,
    table: Path,
    structures: Path | None,
    clusters: tuple[Path, ...],
    name: str | None,
    out: Path,
    keep_duplicates: bool,
    extrapolate: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Read a table of conductivities, merge its duplicates, and save it as a set.

    Which table it is follows from its columns: OBELiX, McHaffie, Laskowski, Liverpool, or a plain
    one with 'formula' and a conductivity whose header says its unit, such as 'sigma (S/cm)'.
    """
    from ssefw.cli.console import progress
    from ssefw.data.labels.sets import label_statistics, merge_labels, save_label_set
    from ssefw.data.labels.sources import extrapolate_labels
    from ssefw.data.labels.tables import assign_clusters, read_label_table

    with progress(quiet=quiet):
        labels = read_label_table(table, structures=structures, name=name)
    if clusters:
        labels = assign_clusters(labels, clusters)
    rows, rejects = list(labels.labels), list(labels.rejects)
    if extrapolate:
        rows, refused = extrapolate_labels(rows)
        rejects += refused
    merged = rows if keep_duplicates else merge_labels(rows)
    labels = labels.model_copy(update={"labels": tuple(merged), "rejects": tuple(rejects)})
    save_label_set(labels, out)
    for source, reason in labels.rejects:
        say(f"rejected {source}: {reason}", err=True)
    _print_statistics(label_statistics(labels), as_json=as_json)


@command.command("show", epilog="Example: ssefw labels show starter --top 10")
@click.argument("label_set", metavar="SET")
@click.option("--top", type=COUNT, default=50, help="Most conductive first, so many.")
@json_option
def show(*, label_set: str, top: int, as_json: bool) -> None:
    """List labels, the most conductive first."""
    from ssefw.data.labels.sets import log_conductivities
    from ssefw.data.labels.sources import find_label_set
    from ssefw.report.rows import label_record

    found = find_label_set(label_set)
    order = sorted(zip(-log_conductivities(found.labels), range(len(found.labels)), strict=True))
    rows = [found.labels[index] for _, index in order[:top]]
    if as_json:
        for label in rows:
            print_json(label_record(label))
        return

    from ssefw.cli.console import show_estimate
    from ssefw.cli.listing import Heading, Listing

    table = Listing(
        [
            Heading("formula"),
            Heading("sigma (S/cm)"),
            Heading("T (K)", 0, "right"),
            Heading("quantity", 1),
            Heading("reports", 2, "right"),
            Heading("reference", 3),
        ]
    )
    for label in rows:
        table.add(
            label.formula,
            show_estimate(label.conductivity, digits=3),
            f"{label.temperature:g}",
            label.quantity,
            label.n_reports,
            label.reference,
        )
    table.show()
    say(f"{len(rows)} of {len(found.labels)} labels, version {found.version}", err=True)


@command.command("stats", epilog="Example: ssefw labels stats obelix_train.csv")
@click.argument("label_set", metavar="SET")
@click.option(
    "--threshold",
    type=CONDUCTIVITY,
    default=1e-4,
    help="S/cm from which it is superionic.",
)
@json_option
def stats(*, label_set: str, threshold: float, as_json: bool) -> None:
    """Count classes, bounds, structures and duplicates of a set."""
    from ssefw.data.labels.sets import label_statistics
    from ssefw.data.labels.sources import find_label_set

    found = find_label_set(label_set)
    _print_statistics(label_statistics(found, threshold=threshold), as_json=as_json)


@command.command("export", epilog="Example: ssefw labels export labels.json -o labels.csv")
@click.argument("label_set", metavar="SET")
@click.option("-o", "--out", type=OUTPUT, required=True, help="Where to write the table (.csv).")
@json_option
def export(*, label_set: str, out: Path, as_json: bool) -> None:
    """Write a set as a plain table, which `ssefw labels import` reads back."""
    from ssefw.data.labels.sources import find_label_set
    from ssefw.data.labels.tables import write_label_table

    found = find_label_set(label_set)
    write_label_table(found, out)
    say(f"{len(found.labels)} labels written to {out}", err=True)
    if as_json:
        print_json({"file": str(out), "labels": len(found.labels)})


@command.command("split", epilog="Example: ssefw labels split labels.json --kind loco -o splits/")
@click.argument("label_set", metavar="SET")
@click.option(
    "--kind",
    type=click.Choice(["k-fold", "random", "loco", "held-out"]),
    default="k-fold",
    help="How rows are chosen; loco leaves one cluster out.",
)
@click.option("-k", "number", type=FOLDS, default=5, help="Folds, or random splits.")
@click.option("--seed", type=SEED, default=0, help="Seed of the choice.")
@click.option(
    "--threshold",
    type=CONDUCTIVITY,
    default=1e-4,
    help="S/cm from which it is superionic.",
)
@click.option("-o", "--out", type=PATH, required=True, help="Folder for one file a split.")
@json_option
def split(
    *,
    label_set: str,
    kind: str,
    number: int,
    seed: int,
    threshold: float,
    out: Path,
    as_json: bool,
) -> None:
    """Write splits in which near-duplicate compositions stay on one side.

    loco uses the clusters that the set states; without any it makes them (distances between
    compositions, UMAP, DBSCAN), which takes umap-learn.
    """
    from ssefw.data.dataset import dataset_of
    from ssefw.data.labels.sources import find_label_set
    from ssefw.data.splits import write_split

    data = dataset_of(find_label_set(label_set), threshold=threshold)
    out.mkdir(parents=True, exist_ok=True)
    for number_, item in enumerate(_splits(data, kind, number, seed)):
        file = out / f"{kind}-{number_:03d}.json"
        write_split(item, data, file)
        record = {
            "file": str(file),
            "name": item.name,
            "train": len(item.train),
            "test": len(item.test),
            "test_superionic": int(data.y[item.test].sum()),
        }
        if as_json:
            print_json(record)
        else:
            say(
                f"{file}: {item.name}, {record['train']} to learn from, {record['test']} to test "
                f"({record['test_superionic']} superionic)"
            )


def _splits(data: Any, kind: str, number: int, seed: int) -> Any:
    from ssefw.data import splits

    if kind == "k-fold":
        return splits.k_fold(data, k=number, seed=seed)
    if kind == "random":
        return splits.repeated_random(data, n=number, seed=seed)
    if kind == "held-out":
        return [splits.held_out(data, seed=seed)]
    if any(data.clusters):
        return splits.leave_one_cluster_out(data)
    compositions = [material.composition for material in data.materials]
    return splits.leave_one_cluster_out(data, splits.composition_clusters(compositions, seed=seed))


def _print_statistics(record: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(record)
        return

    from ssefw.cli.listing import Heading, Listing

    table = Listing([Heading("what"), Heading("value")])
    for key, value in record.items():
        table.add(key.replace("_", " "), "–" if value is None else value)
    table.show()
