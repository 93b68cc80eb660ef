"""Every tutorial done from its top to its end; what takes hours is made to take seconds."""

import numpy as np
import pytest

import ssefw as python_api
from ssefw.analysis.synthetic import LatticeWalk
from ssefw.documents import CampaignRecord, PlannedCandidate
from ssefw.store import connect
from tests.campaigns.test_disordered import OXIDE
from tests.campaigns.test_vasp_campaign import potcars
from tests.conftest import REPOSITORY
from tests.docs.following import Follower
from tests.outcomes import outcome

FOLDER = REPOSITORY / "docs/tutorials"
COPPER = "Cu4\n1.0\n3.6 0 0\n0 3.6 0\n0 0 3.6\nCu\n4\ndirect\n0 0 0\n0 .5 .5\n.5 0 .5\n.5 .5 0\n"
# What rock salts of EMT do is no physics, and takes seconds.
FAST = """\
specie: Cu
engine: {calculator: ase.calculators.emt.EMT}
relax: {max_volume_change: 5, relax_cell: false, max_steps: 30, fmax: 0.5}
md: {temperatures: [300, 600], length: 0.4, equilibration: 0.1, steps_per_frame: 5}
"""


def fast(text, *, cell="{min_length: 3, max_atoms: 40}"):
    """Return a campaign file with another engine and short dynamics, and its other blocks."""
    drop = ("engine:", "relax:", "bvse:", "md:", "supercell:", "  ")
    kept = [line for line in text.splitlines() if not line.startswith(drop)]
    return "\n".join([*kept, f"supercell: {cell}", FAST])


def outcomes(folder):
    with python_api.open(str(folder)) as store:
        return list(store.outcomes())


def test_every_tutorial_is_followed():
    followed = {name.removeprefix("test_").replace("_", "-") for name in globals()}
    assert {path.stem for path in FOLDER.glob("*.md")} - {"index"} <= followed


def test_laptop(tmp_path, capsys):
    def copper_beside(cif):
        (tmp_path / "my-structures/cu.vasp").write_text(COPPER)
        return cif

    def copper_alone(text):
        (tmp_path / "my-structures/LGPS.cif").unlink()
        return fast(text)

    write = {"my-structures/LGPS.cif": copper_beside, "first.yaml": copper_alone}
    follower = Follower(tmp_path, capsys, write=write)
    follower.follow(FOLDER / "laptop.md")
    assert (tmp_path / "msd.png").stat().st_size > 1000
    assert follower.names["table"]["formula"].tolist() == ["Cu"]


def test_without_vasp(tmp_path, capsys):
    write = {"pool/Li2S.vasp": lambda _: COPPER, "potential.yaml": fast}
    follower = Follower(tmp_path, capsys, write=write)
    follower.follow(FOLDER / "without-vasp.md")
    (found,) = outcomes(tmp_path / "results")
    assert [run.temperature for run in found.diffusivities] == [300.0, 600.0]


@pytest.mark.filterwarnings("ignore:POTCAR data with symbol", "ignore:No POTCAR file")
def test_slurm_vasp(tmp_path, capsys):
    program = REPOSITORY / "tests/fake_vasp/vasp_std"
    change = {
        '"mongodb://user:@host/ssefw"': "shared",
        "/scratch/$USER/ssefw": str(tmp_path / "scratch"),
        '"srun vasp_std"': str(program),
        "/sw/potcars": potcars(tmp_path, ["Li", "O"]),
    }

    def short(text):
        assert "length: 50, equilibration: 2" in text
        text = text.replace("length: 50, equilibration: 2", "length: 0.2, equilibration: 0.02")
        text = text.replace("[800, 1000, 1200]", "[300, 600]")
        return text + (
            "supercell: {min_length: 4, max_atoms: 20}\n"
            "relax: {fmax: 0.05, max_steps: 20, max_volume_change: 5.0}\n"
        )

    env = {
        "SSEFW_SETTINGS": str(tmp_path / "site/settings.yaml"),
        "SSEFW_STORE": str(tmp_path / "shared"),
    }
    follower = Follower(tmp_path, capsys, write={"aimd.yaml": short}, change=change, env=env)
    follower.follow(FOLDER / "slurm-vasp.md")
    assert "ENCUT" in (tmp_path / "inputs.txt").read_text()
    assert any("#SBATCH" in said for said in follower.said)
    (found,) = outcomes(tmp_path / "shared")
    assert found.relaxed.provenance.engine == "vasp-kang2022"


def test_ranking_to_campaign(tmp_path, capsys):
    """The campaign is planned; what its dynamics would give is put into the store."""

    def computed():
        follower.call("submit", "best.yaml", "--store", "best")
        with connect(tmp_path / "best") as connection:
            for planned in list(connection.results.find(PlannedCandidate)):
                item = outcome(
                    planned.formula, 1e-9, candidate_id=planned.candidate_id, campaign="best"
                )
                connection.results.add(item, candidate=item.candidate_id, campaign="best")

    follower = Follower(
        tmp_path,
        capsys,
        change={"n_splits=30": "n_splits=2"},
        write={"best.yaml": lambda text: text.replace("n_splits: 30", "n_splits: 2")},
        instead={"ssefw run best.yaml --store best": computed},
    )
    follower.follow(FOLDER / "ranking-to-campaign.md")
    assert (tmp_path / "best.jsonl").read_text().count("\n") == 3


def test_aimd_to_labels(tmp_path, capsys):
    for temperature in (700, 900, 1200):
        rate = 40 * np.exp(-0.3 / (8.617333e-5 * temperature))
        walk = LatticeWalk(rate=rate, n_frames=400, n_cells=4, n_ions=48).frames(1)
        rows = ["run\n1.0\n12.8 0 0\n0 12.8 0\n0 0 12.8\nLi S\n48 64\n"]
        for k, positions in enumerate(walk.positions / 12.8):
            rows.append(f"Direct configuration= {k + 1}\n")
            rows += ["".join(f"{x:12.8f}" for x in row) + "\n" for row in positions]
        path = tmp_path / f"runs/Li3YCl6/{temperature}K/XDATCAR"
        path.parent.mkdir(parents=True)
        path.write_text("".join(rows))
    follower = Follower(tmp_path, capsys)
    follower.follow(FOLDER / "aimd-to-labels.md")
    assert (tmp_path / "plots/arrhenius.png").exists()
    assert follower.names["outcome"].status == "determined"
    assert "Li3YCl6" in follower.said[-1]


def test_disordered(tmp_path, capsys):
    def mixed(text):
        (tmp_path / "pool/LiNiO2.cif").write_text(OXIDE.format(a=4.3, nickel="Ni1 Ni 0 0 0 0.5\n"))
        text = text.replace("{number: 3, choose: sampled}", "{number: 2, choose: random}")
        return fast(text, cell="{min_length: 5, max_atoms: 60}")

    follower = Follower(tmp_path, capsys, write={"disordered.yaml": mixed})
    follower.follow(FOLDER / "disordered.md")
    assert len(list((tmp_path / "cells").glob("*.cif"))) == 2
    assert len(follower.names["outcome"].arrangements) == 2


def test_direct(tmp_path, capsys):
    """The campaign is planned; what it would find is put into the store."""

    def computed():
        follower.call("submit", shipped, "--store", "direct")
        with connect(tmp_path / "direct") as connection:
            for record in list(connection.results.find(CampaignRecord)):
                for planned in record.candidates:
                    item = outcome(
                        planned.formula,
                        1e-2,
                        candidate_id=planned.candidate_id,
                        campaign=record.campaign,
                    )
                    connection.results.add(
                        item, candidate=item.candidate_id, campaign=record.campaign
                    )

    shipped = str(REPOSITORY / "workflows/direct.yaml")
    follower = Follower(
        tmp_path,
        capsys,
        change={"workflows/direct.yaml": shipped},
        instead={f"ssefw run {shipped} --store direct": computed},
    )
    follower.follow(FOLDER / "direct.md")
    assert any("sevennet-l3i5" in said for said in follower.said)
    assert "determined" in follower.said[-2]
