"""The labels and structures that the AtomSets system is measured on."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from screening import mchaffie

from ssefw.data.dataset import dataset_of
from ssefw.data.labels.tables import read_label_table
from ssefw.data.splits import Split, leave_one_cluster_out
from ssefw.screening.atomsets.sources import material_set

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SSEFW_SHARED_DATA", HERE.parent.parent / "shared" / "data"))
WEIGHTS = DATA / "weights" / "megnet_mp2019.4.1_formation_energy.npz"


def with_structures(data):
    """Return the labels with a structure; a few CIFs of OBELiX hold no lithium: left out."""
    has = [m.build is not None and "Li" in m.structure.composition for m in data.materials]
    return data.take(np.flatnonzero(has))


def obelix():
    folder = DATA / "labels"
    labels = read_label_table(
        folder / "obelix_train.csv", structures=folder / "obelix_train_cifs.zip"
    )
    return dataset_of(labels)


def by_family(data):
    """Return a fold for each family of ten or more, and one for the rest."""
    return leave_one_cluster_out(data, large_families(data))


def large_families(data):
    counts = {name: data.clusters.count(name) for name in set(data.clusters)}
    return [name if counts[name] >= 10 and name else "rest" for name in data.clusters]


def by_icsd(kind):
    """Return the rows of which OBELiX has a structure by ICSD number, and the official splits."""
    data, splits = mchaffie(kind)
    rows = csv.DictReader((DATA / "labels" / "obelix_train.csv").open())
    ids = {r["ID"]: r["ICSD ID"].split(".")[0] for r in rows if r["ICSD ID"]}
    known = {ids[m.name]: m for m in with_structures(obelix()).materials if ids.get(m.name)}
    codes = [label.row_id for label in data.labels]
    has = [k for k, code in enumerate(codes) if code in known]
    print(f"  {len(has)} of {len(data)} rows have a structure by ICSD number")
    new = {old: k for k, old in enumerate(has)}
    part = replace(data.take(has), materials=tuple(known[codes[k]] for k in has))
    small = []
    for split in splits:
        train, test = (
            np.array([new[k] for k in side if k in new], dtype=int)
            for side in (split.train, split.test)
        )
        if len(test) and len(set(part.y[train])) == 2:
            small.append(Split(split.name, train, test))
    return part, small


def sets_of(materials, source, *, layer="elements", representation="CAMN"):
    return [
        material_set(one, source, layer=layer, representation=representation) for one in materials
    ]
