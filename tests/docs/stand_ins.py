"""Small files under the names that pages print, so that their commands run as they are printed."""

import gzip
import json
import shutil
import zipfile

import ase.io
import numpy as np
from pymatgen.core import Lattice, Structure

from ssefw.analysis.synthetic import LatticeWalk
from tests.conftest import CAMPAIGN, REPOSITORY
from tests.engines.students.test_frame_files import images
from tests.engines.students.test_students import CRYSTAL
from tests.screening.conftest import METALS, rock_salt

__all__ = ["lay_out"]

RUNS = {
    "600K": 600, "900K": 900, "1200K": 1200, "runs/Li3YCl6/700K": 700, "runs/Li3YCl6/900K": 900,
    "runs/Li3YCl6/1200K": 1200,
}  # fmt: skip
BARRIER, EV_PER_K = 0.3, 8.617333e-5
FORMULAS = [f"Li3{metal}{anion}4" for metal in METALS[:10] for anion in "SO"]
SIGMAS = ["1e-3" if "S4" in formula else "1e-9" for formula in FORMULAS]
CELL = "P1,1,5,5,5,90,90,90"


def lay_out(folder):
    """Write trajectories, crystals, pools, labels and a campaign file."""
    _trajectories(folder)
    _crystals(folder)
    _labels(folder)
    _pools(folder)
    alloys = folder / "alloys"
    alloys.mkdir()
    CRYSTAL.to(alloys / "LGPS.cif")
    for seed, name in enumerate(("900K", "600K")):
        (alloys / "aimd" / name).mkdir(parents=True)
        ase.io.write(alloys / "aimd" / name / "md.extxyz", images(20, seed))
    shutil.copy(REPOSITORY / "tests/data/nep/nep.txt", folder / "nep.txt")


def _trajectories(folder):
    for name, temperature in RUNS.items():
        walk = LatticeWalk(
            rate=40 * np.exp(-BARRIER / (EV_PER_K * temperature)),
            n_frames=400,
            n_cells=4,
            n_ions=48,
        )
        rows = ["run\n1.0\n12.8 0 0\n0 12.8 0\n0 0 12.8\nLi S\n48 64\n"]
        for k, positions in enumerate(walk.frames(1).positions / 12.8):
            rows.append(f"Direct configuration= {k + 1}\n")
            rows += ["".join(f"{x:12.8f}" for x in row) + "\n" for row in positions]
        (folder / name).mkdir(parents=True)
        (folder / name / "XDATCAR").write_text("".join(rows))


def _crystals(folder):
    shutil.copy(REPOSITORY / "tests/data/disordered/LGPS.cif", folder / "LGPS.cif")
    telluride = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.517), ["Te", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    telluride.to(folder / "Li2Te.cif")
    for name in ("cells", "structures", "my-structures"):
        (folder / name).mkdir()
        telluride.to(folder / name / "Li2Te.cif")
    rock_salt("Li3NaS4").to(folder / "candidate.cif")
    # Small cells under the names of the pages, for bands that take seconds.
    small = folder / "small"
    small.mkdir()
    telluride.scale_lattice(5.7**3)
    telluride.to(small / "Li2S.cif")
    mixed = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.2), ["Cl", "Li"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    mixed.replace_species({"Cl": {"Cl": 0.5, "Br": 0.5}})
    mixed.to(small / "LGPS.cif")


def _labels(folder):
    obelix = [
        (
            "ID,Reduced Composition,Z,True Composition,Ionic conductivity (S cm-1),IC (Total),"
            "IC (Bulk),Space group,Space group #,a,b,c,alpha,beta,gamma,Family,DOI"
        )
    ]
    obelix += [
        f"aa{k},{formula},1,{formula},{sigma},,,{CELL},family {k % 4},10.1/{k}"
        for k, (formula, sigma) in enumerate(zip(FORMULAS, SIGMAS, strict=True))
    ]
    for name in ("obelix_train.csv", "obelix_test.csv", "kang.csv"):
        (folder / name).write_text("\n".join(obelix) + "\n")
    with zipfile.ZipFile(folder / "cifs.zip", "w") as archive:
        for k, formula in enumerate(FORMULAS):
            archive.writestr(f"cifs/aa{k}.cif", rock_salt(formula).to(fmt="cif"))
    for name in ("obelix_train_cifs.zip", "obelix_cifs.zip", "test_cifs.zip"):
        shutil.copy(folder / "cifs.zip", folder / name)
    rows = list(enumerate(zip(FORMULAS, SIGMAS, strict=True)))
    mchaffie = "compound,icsd_collectioncode,conductivity_doi,conductivity_siemens_per_cm,"
    mchaffie += "lowest_extrapolation_temperature_K\n"
    mchaffie += "".join(f"{formula},{k},10.1/{k},{sigma},na\n" for k, (formula, sigma) in rows)
    for name in ("mchaffie_database_train.csv", "mchaffie.csv"):
        (folder / name).write_text(mchaffie)
    for fold in (0, 1):
        place = folder / f"lococv/fold_{fold}"
        place.mkdir(parents=True)
        for part, name in ((fold, "val"), (1 - fold, "train")):
            lines = [f"{f},{k},{f},{part}" for k, (f, _) in rows if (k // 2) % 2 == part]
            header = "compound,icsd_collectioncode,normalized_formula,cluster\n"
            (place / f"{name}.csv").write_text(header + "\n".join(lines) + "\n")
    (folder / "laskowski2023_labels.csv").write_text(
        "".join(f"{formula},{sigma},2,{k}\n" for k, (formula, sigma) in rows)
    )
    (folder / "my_measurements.csv").write_text(
        "formula,sigma (mS/cm),T (K)\nLi3N,0.58,300\nLi2S,1e-6,300\n"
    )


def _pools(folder):
    rows = [
        {"id": f"mp-{k}", "icsd": [str(k)], "structure": rock_salt(formula).as_dict(),
         "band_gap": 2.5, "e_hull": 0.0, "v_ox_v": 4.0, "bvse_ea": 0.3}
        for k, formula in enumerate([*FORMULAS, "Li6Na2S8", "Li2KO3", "LiMgS2"])
    ]  # fmt: skip
    text = "\n".join(json.dumps(row, default=float) for row in rows) + "\n"
    (folder / "subset.jsonl").write_text(text)
    cell = Structure.from_file(folder / "Li2Te.cif").as_dict()
    (folder / "pool.jsonl").write_text(json.dumps({"id": "a", "structure": cell}, default=float))
    (folder / "workflows").symlink_to(REPOSITORY / "workflows")
    for name in ("li_pool.jsonl.gz", "pool.jsonl.gz"):
        (folder / name).write_bytes(gzip.compress(text.encode()))
    phases = [
        {"id": name, "formula": name, "e_form_ev_atom": 0.0} for name in ("Li", "O", "S", *METALS)
    ]
    lines = "\n".join(json.dumps(row) for row in phases) + "\n"
    (folder / "mp36k.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    salt = Structure(5.14 * (1 - np.eye(3)) / 2, ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    known = {"id": "mp-22905", "structure": salt.as_dict()}
    (folder / "known.jsonl").write_text(json.dumps(known, default=float) + "\n")
    (folder / "scans").mkdir()
    (folder / "scans/mine.xy").write_text("20.0 3\n27.5 100\n32.0 40\n60.0 2\n")
    (folder / "pool.csv").write_text("formula\n" + "\n".join(FORMULAS) + "\nLi6Na2S8\n")
    for name in ("campaign.yaml", "my-campaign.yaml", "mine.yaml"):
        (folder / name).write_text(CAMPAIGN)
