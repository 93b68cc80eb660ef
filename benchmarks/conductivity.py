"""What the prediction of a conductivity gains by each thing it could know, on held-out labels.

    SSEFW_SHARED_DATA=... python benchmarks/conductivity.py [--families 4] [--groups 2]

Every line is the kernel of the system `conductivity` alone, before corrections, on OBELiX's
training labels; differences are to the line that was adopted, with 95 % intervals over groups of
near-duplicates. `screen validate` measures the whole system.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from ssefw.data.compositions import parse_formula
from ssefw.data.dataset import dataset_of
from ssefw.data.labels.sets import log_conductivities, merge_labels
from ssefw.data.labels.sources import find_label_set
from ssefw.data.pettifor import cumulative_fractions
from ssefw.data.split_protocols import SplitOptions, protocol_splits
from ssefw.screening.conductivity.kernel import LabelKernel
from ssefw.screening.conductivity.quantiles import means
from ssefw.screening.conductivity.shares import rising
from ssefw.screening.conductivity.spreads import grid_of, spreads_of
from ssefw.screening.evaluation.metrics import METRICS, resampled_rows
from ssefw.screening.features import cell_features, composition_features, ordered_cell_atoms

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SSEFW_SHARED_DATA", HERE.parent.parent / "shared" / "data")) / "labels"
CELL = ("space group", "volume per atom", "lithium per volume", "crystal system")
RADII = {"O": 1.40, "S": 1.84, "Se": 1.98, "Te": 2.21, "F": 1.33, "Cl": 1.81, "Br": 1.96,
         "I": 2.20, "N": 1.46}  # fmt: skip
COUNTS = 4.0
NEAR = 0.3
"""Steps of the Pettifor scale within which a further label is too near to one that is tested."""


def described(labels):
    """Return features of compositions, shape (n, 249), the last the ordered cell."""
    found = [parse_formula(label.formula) for label in labels]
    atoms = np.log(ordered_cell_atoms(found))[:, None]
    return np.hstack([composition_features(found), cumulative_fractions(found), atoms])


def occupancies(labels):
    """Return the mean occupancy of lithium's sites, the mean of all where none is known."""
    found = np.full(len(labels), np.nan)
    for row, label in enumerate(labels):
        amounts = [s.species.get_el_amt_dict().get("Li", 0.0) for s in label.structure or ()]
        if any(amounts):
            found[row] = np.mean([amount for amount in amounts if amount])
    return np.where(np.isfinite(found), found, np.nanmean(found))[:, None]


def packings(data, cells):
    """Return volume an anion, the same over the cube of its radius, and the number of anions."""
    rows = []
    for material, cell in zip(data.materials, cells, strict=True):
        share = material.composition.fractional_composition.get_el_amt_dict()
        anions = {e: x for e, x in share.items() if e in RADII} or {max(share): 1.0}
        whole = sum(anions.values())
        cube = sum(x * RADII.get(e, 2.2) ** 3 for e, x in anions.items()) / whole
        rows.append([cell[1] / whole, cell[1] / whole / cube, len(anions)])
    return np.array(rows)


def measures(y, stated, chance, number):
    names = ("auc_pr", "mcc", "brier")
    return np.array([*(METRICS[n](y, chance) for n in names), np.abs(number - stated).mean()])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", type=int, default=4)
    parser.add_argument("--groups", type=int, default=2)
    asked = parser.parse_args()
    labels = find_label_set(DATA / "obelix_train.csv", structures=DATA / "obelix_train_cifs.zip")
    labels = labels.model_copy(update={"labels": tuple(merge_labels(labels.labels))})
    data = dataset_of(labels)
    more = [
        label
        for name in ("mchaffie_database_train.csv", "laskowski2023_labels.csv")
        for label in find_label_set(DATA / name).labels
    ]
    more = merge_labels(more)
    own, other = described(data.labels), described(more)
    composition = slice(0, own.shape[1] - 1)
    cells = cell_features(
        [m.cell for m in data.materials], [m.composition for m in data.materials], names=CELL
    )
    stated = log_conductivities(data.labels)
    grid = grid_of(stated)
    spreads, further = spreads_of(data.labels, grid), spreads_of(more, grid)
    fractions = slice(own.shape[1] - 104, own.shape[1] - 1)
    apart = np.abs(other[:, None, fractions] - own[None, :, fractions]).sum(axis=2)
    known = apart.min(axis=1) < 1e-3
    nearest = apart.argmin(axis=1)
    variants = {
        "composition": own[:, composition],
        "and ordered cell": own,
        "and further labels": own,
        "and cell": np.hstack([own[:, composition], cells]),
        "ordered cell and cell (adopted)": np.hstack([own, cells]),
        "and packing": np.hstack([own, cells, packings(data, cells)]),
        "and occupancy of lithium": np.hstack([own, cells, occupancies(data.labels)]),
    }

    def below(name, train, test):
        features, taught = variants[name][train], spreads[train]
        if name == "and further labels":
            # What is related to a tested label is tested itself, or next to it.
            fits = ~known & np.isin(nearest, train) & (apart[:, test].min(axis=1) > NEAR)
            features = np.vstack([features, other[fits]])
            taught = np.vstack([taught, further[fits]])
        weight = np.ones(features.shape[1])
        weight[composition.stop :] = COUNTS
        return rising(LabelKernel.fit(features, weight).shares(variants[name][test]) @ taught)

    for kind, repeats in (("families", asked.families), ("groups", asked.groups)):
        splits = protocol_splits(kind, data, SplitOptions(folds=5, repeats=repeats, seed=100))[1]
        rows = np.concatenate([split.test for split in splits])
        found = {}
        for name in variants:
            said = np.vstack([below(name, split.train, split.test) for split in splits])
            chance = 1 - np.array([np.interp(-4.0, grid, row) for row in said])
            found[name] = chance, means(said, grid)
        adopted = found["ordered cell and cell (adopted)"]
        print(f"\n{kind}, {repeats} deals: AUC-PR, MCC, Brier, MAE; and less what was adopted")
        draws = list(resampled_rows(data.groups[rows], seed=0, n=300))
        for name, own_said in found.items():
            y, truth = data.y[rows], stated[rows]
            mine = measures(y, truth, *own_said)
            gaps = [
                measures(y[d], truth[d], *(x[d] for x in own_said))
                - measures(y[d], truth[d], *(x[d] for x in adopted))
                for d in draws
            ]
            low, high = np.quantile(gaps, [0.025, 0.975], axis=0)
            less = mine - measures(y, truth, *adopted)
            told = "  ".join(
                f"{m:.3f} {d:+.3f} [{a:+.3f}, {b:+.3f}]"
                for m, d, a, b in zip(mine, less, low, high, strict=True)
            )
            print(f"{name:32s} {told}", flush=True)


if __name__ == "__main__":
    main()
