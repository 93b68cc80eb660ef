"""How well and how fast the composition system screens, beside simple baselines in the same run.

    SSEFW_SHARED_DATA=... python benchmarks/screening.py [PART ...]

Parts: speed, cascade, table1, gaps, kfold, loco, oracle, obelix, hundred.

Numbers are of held-out rows pooled over folds. LOCO is reported twice: honest, with nothing chosen
on the held-out cluster, and oracle, with the settings chosen on it, as published numbers are.
"""

import os
import resource
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from pymatgen.core import Composition
from sklearn.model_selection import GroupKFold

from ssefw.data.compositions import fractions, parse_formula
from ssefw.data.dataset import dataset_of
from ssefw.data.labels.tables import read_label_table
from ssefw.data.materials import Material, read_materials
from ssefw.data.pools import Reject
from ssefw.data.splits import Split, k_fold, leave_one_cluster_out, repeated_random
from ssefw.documents import LabelSet
from ssefw.errors import SsefwError
from ssefw.screening.composition import CompositionScreener
from ssefw.screening.evaluation.evaluate import (
    cross_validate,
    cross_validate_oracle,
    shuffled_labels,
)
from ssefw.screening.evaluation.metrics import measure, measure_with_intervals
from ssefw.screening.features import composition_features
from ssefw.screening.filters.cascade import Cascade, preset_filters
from ssefw.screening.filters.gaps import GapTable
from ssefw.screening.filters.phases import PhaseTable, read_phases

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SSEFW_SHARED_DATA", HERE.parent.parent / "shared" / "data"))
SYSTEMS = {
    "GB alone": {"members": ["gb"]},
    "LGBM alone": {"members": ["lgbm"]},
    "GB + LGBM (the system)": {"members": ["gb", "lgbm"]},
    "extra trees (baseline)": {"members": ["et"]},
    "random forest (baseline)": {"members": ["rf"]},
}
# What the oracle chooses among, fold by fold.
TUNED = [
    {"members": [kind], "tuned": {kind: settings}}
    for kind, choices in {
        "gb": [{}, {"max_depth": 2}, {"max_depth": 5}],
        "lgbm": [{}, {"num_leaves": 7}, {"min_child_samples": 3}],
        "et": [{}],
        "rf": [{}],
    }.items()
    for settings in choices
]


def line(name, y, p, groups=None):
    groups = np.arange(len(y)) if groups is None else groups
    found = measure_with_intervals(y, p, groups=groups, n=300)
    print(
        f"  {name:34s}"
        + "  ".join(
            f"{key} {found[key].value:.3f} [{found[key].lower:.2f}, {found[key].upper:.2f}]"
            for key in ("auc_pr", "mcc", "accuracy")
        ),
        flush=True,
    )


def per_fold(name, data, predictions):
    values = []
    for number in np.unique(predictions.split):
        here = predictions.split == number
        values.append(measure(data.y[predictions.rows[here]], predictions.probability[here]))
    text = "  ".join(
        f"{key} {np.nanmean(each):.3f} +- {np.nanstd(each):.3f}"
        for key in ("auc_pr", "mcc", "accuracy")
        for each in [[v[key] for v in values]]
    )
    print(f"  {name:34s}{text}   (mean and std over folds)", flush=True)


def mchaffie(kind):
    """Return the dataset of the official splits, and the splits as rows of it."""
    labels = read_label_table(DATA / "labels" / "mchaffie_database_train.csv")
    by_id = {label.row_id: label for label in labels.labels}
    folders = sorted((DATA / "labels" / "mchaffie_splits" / kind).glob("fold_*"))
    import csv

    sides = [
        {
            side: [row["icsd_collectioncode"] for row in csv.DictReader((f / f"{side}.csv").open())]
            for side in ("train", "val")
        }
        for f in folders
    ]
    used = sorted({code for side in sides for codes in side.values() for code in codes})
    kept = [code for code in used if code in by_id]
    print(f"  {len(used)} rows in the splits, {len(kept)} with a readable label")
    chosen = LabelSet(name="mchaffie", labels=tuple(by_id[code] for code in kept))
    data = dataset_of(chosen)
    row = {code: index for index, code in enumerate(kept)}
    splits = [
        Split(
            folder.name,
            *(np.array([row[c] for c in side[s] if c in row]) for s in ("train", "val")),
        )
        for folder, side in zip(folders, sides, strict=True)
    ]
    return data, splits


def maker(settings, n_splits=10, seed=0):
    return partial(CompositionScreener, **settings, n_splits=n_splits, seed=seed)


def run_kfold():
    print("McHaffie, official 5-fold (near-duplicates on both sides; published best 0.895 / 0.752)")
    data, splits = mchaffie("kfold")
    for name, settings in SYSTEMS.items():
        found = cross_validate(maker(settings), data, splits)
        line(name, data.y[found.rows], found.probability)
        per_fold(name, data, found)
    chance = cross_validate(maker(SYSTEMS["extra trees (baseline)"]), shuffled_labels(data), splits)
    line("shuffled labels (control)", data.y[chance.rows], chance.probability)
    share = np.full(len(data), data.y.mean())
    line("mean (control)", data.y, share)


def run_loco():
    print("McHaffie, official leave-one-cluster-out (published 0.86 / 0.61 is oracle)")
    data, splits = mchaffie("lococv")
    for name, settings in SYSTEMS.items():
        found = cross_validate(maker(settings), data, splits)
        line(f"honest: {name}", data.y[found.rows], found.probability)
        per_fold(f"honest: {name}", data, found)
    chance = cross_validate(maker(SYSTEMS["LGBM alone"]), shuffled_labels(data), splits)
    line("shuffled labels (control)", data.y[chance.rows], chance.probability)


def run_oracle():
    data, splits = mchaffie("lococv")
    oracle = cross_validate_oracle([maker(s, n_splits=3) for s in TUNED], data, splits)
    line("oracle: best of 8 on the fold", data.y[oracle.rows], oracle.probability)
    per_fold("oracle: best of 8 on the fold", data, oracle)


def obelix():
    return dataset_of(read_label_table(DATA / "labels" / "obelix_train.csv"))


def run_obelix():
    print("OBELiX training rows (censored values are upper bounds, below 1e-4 S/cm either way)")
    data = obelix()
    plain, grouped = k_fold(data, grouped=False), k_fold(data)
    votes = []
    for split in grouped:
        model = maker({}, n_splits=20)().fit(data.take(split.train))
        scores = model.score(data.take(split.test).materials)
        votes += list(zip(data.y[split.test], scores.votes == scores.n_votes, strict=True))
    said = [y for y, accepted in votes if accepted]
    print(f"  all members vote superionic: {len(said)} rows, {np.mean(said):.3f} of them are")
    family = leave_one_cluster_out(data)
    for name, settings in SYSTEMS.items():
        for kind, splits in (
            ("random 5-fold", plain),
            ("grouped 5-fold", grouped),
            ("leave one family out", family),
        ):
            found = cross_validate(maker(settings, n_splits=5), data, splits)
            groups = data.groups[found.rows]
            line(f"{kind}: {name}", data.y[found.rows], found.probability, groups)
    for cell in ("kang", "full"):
        found = cross_validate(maker({"cell": cell}, n_splits=5), data, grouped)
        line(f"grouped, cell={cell}", data.y[found.rows], found.probability)
    chance = cross_validate(maker({}, n_splits=5), shuffled_labels(data), grouped)
    line("shuffled labels (control)", data.y[chance.rows], chance.probability)


def run_hundred():
    data = obelix()
    start = time.perf_counter()
    CompositionScreener(n_splits=100, grouped=False).fit(data)
    seconds = time.perf_counter() - start
    print(f"100 splits x GB + LGBM, {len(data)} labels, 1 process: {seconds:.0f} s", flush=True)
    splits = repeated_random(data, n=30, grouped=False)
    features = composition_features([m.composition for m in data.materials])
    from ssefw.screening.classifiers import CLASSIFIERS, fit_classifier

    print("The classifiers over 30 random splits (accuracy, mean +- std; Kang: GB 0.843 +- 0.042)")
    for kind in CLASSIFIERS:
        values = [
            measure(
                data.y[s.test],
                fit_classifier(kind, features[s.train], data.y[s.train], seed=i)[0].probability(
                    features[s.test]
                ),
            )
            for i, s in enumerate(splits)
        ]
        accuracy = [v["accuracy"] for v in values]
        mcc = np.mean([v["mcc"] for v in values])
        print(
            f"  {kind:5s} {np.mean(accuracy):.3f} +- {np.std(accuracy):.3f}  mcc {mcc:.3f}",
            flush=True,
        )


def run_speed():
    rows = read_materials(DATA / "pools" / "laskowski_index_25193.csv.gz")
    formulas = [m.formula for m in rows if not isinstance(m, Reject)][:10000]
    parse_formula.cache_clear()
    start = time.perf_counter()
    compositions = [parse_formula(f) for f in formulas]
    composition_features(compositions)
    print(f"10,000 compositions, cold: {time.perf_counter() - start:.2f} s")
    try:
        from matminer.featurizers.base import MultipleFeaturizer
        from matminer.featurizers.composition import (
            ElementProperty,
            IonProperty,
            Stoichiometry,
            ValenceOrbital,
        )
    except ImportError:
        print("  matminer is not installed, so no ratio")
        return
    peer = MultipleFeaturizer(
        [
            Stoichiometry(),
            ElementProperty.from_preset("magpie"),
            ValenceOrbital(props=["avg"]),
            IonProperty(fast=True),
        ]
    )
    start = time.perf_counter()
    for composition in compositions[:500]:
        peer.featurize(composition)
    print(f"  matminer, 1 process, per 10,000: {20 * (time.perf_counter() - start):.0f} s")


def pool_of(file):
    """Return the rows of a pool by name; of equal names the last."""
    rows = read_materials(DATA / "pools" / file)
    return list({m.name: m for m in rows if not isinstance(m, Reject)}.values())


def run_cascade():
    phases = read_phases(DATA / "pools" / "mp36k.jsonl.gz")
    for file in ("laskowski_index_25193.csv.gz", "li_pool.jsonl.gz"):
        rows = pool_of(file)
        for preset in ("kang2022", "kang2022_stability"):
            start = time.process_time()
            found = preset_filters(preset, phases=phases).run(rows)
            print(f"{preset} on {file}: {time.process_time() - start:.1f} s of CPU")
            for step in found.steps:
                print(f"  {step.name}: {step.n_in} -> {step.n_passed} ({step.n_undetermined} open)")
            kinds = Counter(kind_of_anion(m.composition) for m in found.passed)
            print("  " + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()), flush=True)


ANIONS = {"O": "oxide", "F": "halide", "Cl": "halide", "Br": "halide", "I": "halide",
          "N": "nitride", "S": "sulfide", "Se": "selenide", "Te": "telluride", "H": "hydride",
          "P": "phosphide", "C": "carbide"}  # fmt: skip
"""Names as in Fig. 2c of Kang et al. 2022; the first that a compound holds counts."""


def kind_of_anion(composition):
    held = fractions(composition)
    return next((kind for symbol, kind in ANIONS.items() if symbol in held), "none of these")


def run_gaps():
    """Predict the gaps of chemical systems that were held out, and count who is called sure."""
    pool = [m for m in pool_of("li_pool.jsonl.gz") if "band_gap_ev" in m.properties]
    gaps = np.array([m.properties["band_gap_ev"] for m in pool])
    systems = ["-".join(sorted(fractions(m.composition))) for m in pool]
    told, value = np.full(len(pool), -2), np.zeros(len(pool))
    start = time.process_time()
    for train, test in GroupKFold(3, shuffle=True, random_state=1).split(pool, groups=systems):
        table = GapTable([pool[row].composition for row in train], gaps[train])
        found = table.predict([pool[row].composition for row in test], at_least=1.0)
        told[test], value[test] = found.reaches, found.value
    seconds = (time.process_time() - start) / 3
    print(f"{len(pool)} gaps, 2/3 of the chemical systems learned in {seconds:.1f} s of CPU: mean "
          f"error {np.abs(value - gaps).mean():.2f} eV, of their median "
          f"{np.abs(np.median(gaps) - gaps).mean():.2f} eV")  # fmt: skip
    for answer, right, words in ((1, gaps >= 1, "at least 1 eV"), (0, gaps < 1, "below 1 eV")):
        here = told == answer
        print(
            f"  surely {words}: {here.sum()} ({here.mean():.0%}), right in {right[here].mean():.1%}"
        )
    print(f"  undetermined: {(told == -1).sum()} ({(told == -1).mean():.0%})")


TABLE_1 = (
    "Cs2LiNd(BO3)2", "LiAlSiO4", "NaLiB4O7", "Li3Pr3(TeO6)2", "Li2B4O7", "Li2CeO3",
    "K3Ba3Li2Al4B6O20F", "LiNd6B3O14", "Sr3LiSbO6", "Li7La3(SnO6)2", "LiTmSiO4", "LiInSiO4",
    "Li3Nd3(TeO6)2",
)  # fmt: skip
"""Compounds of Table 1 of Kang et al. 2022."""


def all_drawn(phases, composition):
    """Return the mean potential (V) at which all lithium is drawn and the rest decomposes."""
    share = fractions(composition)
    rest = Composition({e: x for e, x in share.items() if e != "Li"})
    left = (1 - share["Li"]) * phases.ground_energy(rest) if len(rest) else 0.0
    return (left - phases.ground_energy(composition)) / share["Li"]


def run_table1():
    phases = read_phases(DATA / "pools" / "mp36k.jsonl.gz")
    filters = preset_filters("kang2022", phases=phases).filters
    pool = pool_of("laskowski_index_25193.csv.gz")
    lowest = {}
    for material in sorted(filter(stated, pool), key=stated, reverse=True):
        lowest[material.composition.reduced_formula] = material
    for formula in TABLE_1:
        composition = parse_formula(formula)
        known = lowest.get(composition.reduced_formula)
        hull, gap = stated(known) if known else (0.0, 1.0)
        here = f"gap {gap:.1f} eV, hull {hull:g} eV/atom" if known else "not in the pool"
        numbers = {"band_gap_ev": gap, "e_hull_ev_atom": hull}
        gate = Cascade(filters).run([Material(formula, formula, numbers)]).trails[formula][-1]
        stop = "passes" if gate.passed else f"stopped by {gate.name}: {gate.message}"
        try:
            limit = f"{phases.oxidation_limit(composition).voltage:.2f} V"
        except SsefwError as error:
            limit = f"undetermined: {error}"
        print(f"  {formula:20s} {here:28s} {stop}")
        voltage = phases.elements_voltage(composition)
        print(f"    formation energy per lithium {voltage:.2f} V, limit of stability {limit}")
    passed = Cascade(filters[:3]).run(pool).passed
    print(f"{len(passed)} stable insulators before the oxidation limit; above 3.7 V by")
    for name, voltage in (
        ("limit of stability", stability),
        ("all lithium drawn, the rest to its stable phases", all_drawn),
        ("formation energy per lithium", PhaseTable.elements_voltage),
    ):
        kept = [m for m in passed if voltage(phases, m.composition) > 3.7]
        kinds = Counter(kind_of_anion(m.composition) for m in kept)
        print(f"  {name}: {len(kept)}; "
              + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()))  # fmt: skip
    print("  Kang et al.: 468 of 567; 299 oxide, 96 halide, 35 nitride, 25 sulfide, 7 selenide, "
          "3 hydride, 2 phosphide, 1 carbide")  # fmt: skip


def stated(material):
    """Return energy above the hull and gap of a material that states both, else None."""
    numbers = [material.properties.get(key) for key in ("e_hull_ev_atom", "band_gap_ev")]
    return tuple(numbers) if all(isinstance(x, float) for x in numbers) else None


def stability(phases, composition):
    try:
        return phases.oxidation_limit(composition).voltage
    except SsefwError:
        return float("nan")


if __name__ == "__main__":
    for part in sys.argv[1:] or [
        "speed",
        "cascade",
        "kfold",
        "loco",
        "oracle",
        "obelix",
        "hundred",
    ]:
        begin = time.perf_counter()
        globals()[f"run_{part}"]()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"-- {part}: {time.perf_counter() - begin:.0f} s, peak {peak:.2f} GB so far\n",
            flush=True,
        )
