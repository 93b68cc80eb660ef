"""Whether learning from what was computed finds more hits than one ranking at the start.

    SSEFW_SHARED_DATA=... python benchmarks/closed_loop.py [--seeds 50] [--figure docs/closed_loop]
        [--games 1e-3] [--keep FOLDER] [--systems]

With a folder to keep them in, a game that was played is not played again: the five can be played
one by one, and the figure is drawn of all that are there.

A campaign is played with labels that are known: they are hidden, and one is revealed when its
material is "computed". Three ways to spend a budget of computations: at random, down the ranking
of the first model (single-shot), and in batches of ten with a refit after each (closed loop; by
score alone, and with the acquisition of `ssefw.campaigns.learning.acquisition`). The model is a
forest of extremely randomized trees on composition descriptors.

Games differ in what is known at the start and in what counts as a hit (S/cm). The pool is OBELiX
(train) without what is known:

starter    the 40 labels that ship with ssefw
N random   N labels of OBELiX (train), both classes among them
20 oxides  the same from materials with oxygen and neither sulfur nor halogen: what is known is not
           where most hits are, as at the start of a real search

With --systems the loop of acquisition is played by screening systems as campaigns refit them, in
the place of the forest.

Beside hits, frameworks with a hit are counted (elements without Li): five members of one series
are five hits and one framework. Bands and intervals are over seeds.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition
from sklearn.ensemble import ExtraTreesClassifier

from ssefw.campaigns.learning.acquisition import acquisition_order, framework_of
from ssefw.data.compositions import composition_id
from ssefw.data.dataset import Dataset, dataset_of
from ssefw.data.labels.sets import merge_labels
from ssefw.data.labels.sources import starter_labels
from ssefw.data.labels.tables import read_label_table
from ssefw.documents import LabelSet, RankedCandidate
from ssefw.screening.base import make_screener
from ssefw.screening.features import composition_features

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SSEFW_SHARED_DATA", HERE.parent.parent / "shared" / "data"))
BUDGET, BATCH = 100, 10
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Game:
    """A pool whose labels are hidden, and the labels that are known at the start."""

    known_x: Floats
    known_y: Ints
    pool_x: Floats
    pool_y: Ints
    formulas: tuple[str, ...]
    frameworks: tuple[str, ...]
    known: Dataset
    pool: Dataset


def merged(labels: LabelSet, threshold: float) -> Dataset:
    """Return the decided labels, one a material."""
    one_each = labels.model_copy(update={"labels": tuple(merge_labels(labels.labels))})
    return dataset_of(one_each, threshold=threshold)


def features(data: Dataset) -> Floats:
    """Return the descriptors of the compositions."""
    return composition_features([material.composition for material in data.materials])


def game(known: Dataset, pool: Dataset) -> Game:
    """Return a game without the pool's materials that are known."""
    seen = {composition_id(material.composition) for material in known.materials}
    rows = [
        i for i, item in enumerate(pool.materials) if composition_id(item.composition) not in seen
    ]
    pool = pool.take(rows)
    formulas = tuple(material.formula for material in pool.materials)
    return Game(
        known_x=features(known),
        known_y=known.y,
        pool_x=features(pool),
        pool_y=pool.y,
        formulas=formulas,
        frameworks=tuple(framework_of(formula) for formula in formulas),
        known=known,
        pool=pool,
    )


def random_start(data: Dataset, *, n: int, seed: int, from_oxides: bool = False) -> Game:
    """Return a game that starts with n random labels, both classes among them."""
    rng = np.random.default_rng(seed)
    allowed = np.array([not from_oxides or _is_oxide(m.composition) for m in data.materials])
    while True:
        order = rng.permutation(len(data))
        first = order[allowed[order]][:n]
        if 1 < data.y[first].sum() < n - 1:
            return game(data.take(first), data.take(np.setdiff1d(order, first)))


def _is_oxide(composition: Composition) -> bool:
    symbols = {element.symbol for element in composition.element_composition}
    return "O" in symbols and not symbols & {"S", "Se", "F", "Cl", "Br", "I"}


def forest(x: Floats, y: Ints, seed: int) -> ExtraTreesClassifier:
    """Return a fitted forest."""
    model = ExtraTreesClassifier(50, min_samples_leaf=2, random_state=seed, n_jobs=1)
    return model.fit(x, y)


def scores(model: ExtraTreesClassifier, x: Floats) -> tuple[Floats, Floats]:
    """Return the probability of a hit and its spread over the trees."""
    checked = np.ascontiguousarray(x, dtype=np.float32)
    each = np.array(
        [tree.predict_proba(checked, check_input=False)[:, 1] for tree in model.estimators_]
    )
    return each.mean(axis=0), each.std(axis=0)


def at_random(item: Game, seed: int) -> list[int]:
    """Return a random order."""
    return np.random.default_rng(seed + 10_000).permutation(len(item.pool_y))[:BUDGET].tolist()


def single_shot(item: Game, seed: int) -> list[int]:
    """Return the order of the first model."""
    mean, _ = scores(forest(item.known_x, item.known_y, seed), item.pool_x)
    return np.argsort(-mean, kind="stable")[:BUDGET].tolist()


def closed_loop(
    item: Game, seed: int, *, exploration: float = 0.0, per_framework: int = 10**6
) -> list[int]:
    """Return the order of a loop that refits after each batch."""
    taken: list[int] = []
    while len(taken) < BUDGET:
        x = np.vstack([item.known_x, item.pool_x[taken]])
        y = np.concatenate([item.known_y, item.pool_y[taken]])
        left = np.setdiff1d(np.arange(len(item.pool_y)), taken)
        mean, spread = scores(forest(x, y, seed), item.pool_x[left])
        entries = [
            RankedCandidate(
                candidate_id=f"{row:06d}",
                formula=item.formulas[row],
                score=float(mean[k]),
                spread=float(spread[k]),
            )
            for k, row in enumerate(left)
        ]
        chosen = acquisition_order(entries, exploration=exploration, per_framework=per_framework)
        taken += [int(choice.candidate_id) for choice in chosen[:BATCH]]
    return taken[:BUDGET]


STRATEGIES: dict[str, Callable[[Game, int], list[int]]] = {
    "random": at_random,
    "single-shot": single_shot,
    "closed loop, score": closed_loop,
    "closed loop, acquisition": lambda item, seed: closed_loop(
        item, seed, exploration=0.5, per_framework=2
    ),
}


SYSTEMS = {
    "composition": {"n_splits": 10},
    "conductivity": {"cell": "none"},
}
"""As campaigns refit them; of the first a tenth of its members, whose mean orders alike."""


def system_loop(item: Game, seed: int, name: str) -> list[int]:
    """Return the order of a loop of acquisition in which a screening system is refitted."""
    taken: list[int] = []
    while len(taken) < BUDGET:
        labels = (*item.known.labels, *(item.pool.labels[row] for row in taken))
        data = dataset_of(LabelSet(name="loop", labels=labels), threshold=item.known.threshold)
        left = np.setdiff1d(np.arange(len(item.pool_y)), taken)
        screener = make_screener(name, {**SYSTEMS[name], "seed": seed}).fit(data)
        found = screener.score([item.pool.materials[row] for row in left])
        entries = [
            RankedCandidate(
                candidate_id=f"{row:06d}",
                formula=item.formulas[row],
                score=float(found.probability[k]),
                spread=float(found.spread[k]),
            )
            for k, row in enumerate(left)
        ]
        chosen = acquisition_order(entries, exploration=0.5, per_framework=2)
        taken += [int(choice.candidate_id) for choice in chosen[:BATCH]]
    return taken[:BUDGET]


def play_systems(chosen: dict[str, Callable[[int], Game]], seeds: int) -> None:
    """Print how many hits each system finds, and the difference seed by seed."""
    for start, make in chosen.items():
        hits: dict[str, Floats] = {}
        for name in SYSTEMS:
            began = time.process_time()
            found = []
            for seed in range(seeds):
                item = make(seed)
                found.append(np.cumsum(item.pool_y[system_loop(item, seed, name)]))
            hits[name] = np.array(found)
            at = "  ".join(f"{hits[name][:, k - 1].mean():5.1f}" for k in (25, 50, 100))
            used = time.process_time() - began
            print(f"{start:18s} {name:14s} {at}   {used:.0f} s of CPU", flush=True)
        gaps = (hits["conductivity"] - hits["composition"])[:, [24, 49, 99]]
        print(f"  conductivity less composition after 25, 50, 100, seed by seed: {gaps.tolist()}")


def games(data: Callable[[float], Dataset]) -> dict[str, Callable[[int], Game]]:
    """Return the games by name, each made from a seed."""
    usual, rare = data(1e-4), data(1e-3)
    known = game(merged(starter_labels(), 1e-4), usual)
    return {
        "starter, 1e-4": lambda _: known,
        "20 random, 1e-4": lambda seed: random_start(usual, n=20, seed=seed),
        "20 oxides, 1e-4": lambda seed: random_start(usual, n=20, seed=seed, from_oxides=True),
        "20 random, 1e-3": lambda seed: random_start(rare, n=20, seed=seed),
        "20 oxides, 1e-3": lambda seed: random_start(rare, n=20, seed=seed, from_oxides=True),
    }


def curves(make: Callable[[int], Game], seeds: int) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield each strategy with hits and frameworks hit after k computations, (seeds, budget)."""
    for name, strategy in STRATEGIES.items():
        hits, kinds = np.zeros((seeds, BUDGET)), np.zeros((seeds, BUDGET))
        for seed in range(seeds):
            item = make(seed)
            order = strategy(item, seed)
            hits[seed] = np.cumsum(item.pool_y[order])
            seen: set[str] = set()
            for k, row in enumerate(order):
                if item.pool_y[row]:
                    seen.add(item.frameworks[row])
                kinds[seed, k] = len(seen)
        yield name, hits, kinds


def ratio(over: Floats, under: Floats, k: int) -> tuple[float, float, float]:
    """Return the ratio of mean hits after k, with its 95 % bootstrap interval over seeds."""
    rng = np.random.default_rng(0)
    a, b = over[:, k - 1], under[:, k - 1]
    drawn = [a[rows].mean() / b[rows].mean() for rows in rng.integers(0, len(a), (2000, len(a)))]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(a.mean() / b.mean()), float(low), float(high)


def played(
    make: Callable[[int], Game], seeds: int, kept: Path | None
) -> dict[str, tuple[Floats, Floats]]:
    """Return the curves of a game, from a file if it was played before with as many seeds."""
    if kept is not None and kept.exists():
        with np.load(kept) as file:
            if len(file["hits/random"]) == seeds:
                return {name: (file[f"hits/{name}"], file[f"kinds/{name}"]) for name in STRATEGIES}
    found = {name: (hits, kinds) for name, hits, kinds in curves(make, seeds)}
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        parts = {"hits": 0, "kinds": 1}
        np.savez(kept, **{f"{w}/{n}": two[k] for n, two in found.items() for w, k in parts.items()})
    return found


def draw(found: dict[str, dict[str, Floats]], ceilings: dict[str, float], stem: str) -> None:
    """Draw hits against budget with the middle 80 % of the seeds."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from ssefw.report.style import STYLE, save_figure

    colors = ("#98a2b3", "#b54708", "#175cd3", "#067647")
    with rc_context(STYLE):
        columns = min(3, len(found))
        rows = -(-len(found) // columns)
        figure = Figure(figsize=(2.5 * columns, 2.4 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(found) :]:
            axes.set_axis_off()
        for number, (axes, (start, curves_)) in enumerate(zip(grid, found.items(), strict=False)):
            for color, (name, hits) in zip(colors, curves_.items(), strict=True):
                x = np.arange(1, BUDGET + 1)
                low, high = np.quantile(hits, [0.1, 0.9], axis=0)
                axes.fill_between(x, low, high, color=color, alpha=0.15, lw=0)
                axes.plot(x, hits.mean(axis=0), color=color, label=name)
            reach = min(BUDGET, ceilings[start])
            axes.plot([0, reach, BUDGET], [0, reach, reach], color="#667085", ls=":", lw=0.9)
            axes.set_title(f"{start} S/cm, {ceilings[start]:.0f} hits")
            axes.set_ylim(0, 1.05 * max(reach, 1))
            if number >= len(found) - columns:
                axes.set_xlabel("computed")
            if number % columns == 0:
                axes.set_ylabel("hits found")
        handles, names = grid[0].get_legend_handles_labels()
        if len(grid) > len(found):
            grid[-1].legend(handles, names, loc="center", title="dotted: any order at best")
        else:
            grid[0].legend(handles, names, loc="upper left")
        save_figure(figure, stem)


def main() -> None:
    """Play all games and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--games", default="", help="only games whose name has this in it")
    parser.add_argument("--keep", type=Path, help="folder for the curves of each game")
    parser.add_argument("--systems", action="store_true", help="screening systems, not the forest")
    parser.add_argument("--figure", help="stem of the figure's files")
    arguments = parser.parse_args()
    table = read_label_table(DATA / "labels" / "obelix_train.csv")
    found: dict[str, dict[str, Floats]] = {}
    ceilings = {}
    all_games = games(lambda threshold: merged(table, threshold))
    chosen = {name: make for name, make in all_games.items() if arguments.games in name}
    if arguments.systems:
        play_systems(chosen, arguments.seeds)
        return
    for start, make in chosen.items():
        began = time.perf_counter()
        name = start.replace(", ", "-").replace(" ", "-")
        kept = arguments.keep / f"{name}.npz" if arguments.keep else None
        both = played(make, arguments.seeds, kept)
        found[start] = {name: hits for name, (hits, _) in both.items()}
        pools = [make(seed).pool_y for seed in range(arguments.seeds)]
        ceilings[start] = float(np.mean([y.sum() for y in pools]))
        share = float(np.mean([y.mean() for y in pools]))
        print(
            f"\n{start}: pool of {len(pools[0])}, {ceilings[start]:.0f} hits ({share:.0%}); "
            f"{time.perf_counter() - began:.0f} s"
        )
        print(f"{'strategy':28s} hits after 25, 50, 100   frameworks with a hit after 100")
        for name, (hits, kinds) in both.items():
            at = "  ".join(f"{hits[:, k - 1].mean():5.1f}" for k in (25, 50, 100))
            print(f"{name:28s} {at}        {kinds[:, -1].mean():5.1f}")
        for name in ("closed loop, score", "closed loop, acquisition"):
            for other in ("single-shot", "random"):
                parts = []
                for k in (25, 50, 100):
                    value, low, high = ratio(both[name][0], both[other][0], k)
                    parts.append(f"{value:.2f} [{low:.2f}, {high:.2f}]")
                value, low, high = ratio(both[name][1], both[other][1], BUDGET)
                print(
                    f"  {name} / {other}: {', '.join(parts)}; frameworks {value:.2f} "
                    f"[{low:.2f}, {high:.2f}]"
                )
        best = np.minimum(BUDGET, ceilings[start])
        shot = both["single-shot"][0][:, -1].mean()
        print(
            f"  the most any order could find is {best / shot:.2f} times single-shot at 100",
            flush=True,
        )
    if arguments.figure:
        draw(found, ceilings, arguments.figure)


if __name__ == "__main__":
    main()
