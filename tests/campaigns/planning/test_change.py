"""Other settings of a campaign re-run what depends on them, and nothing else."""

import os
import re

import pytest

from ssefw.documents import Outcome, RelaxResult
from ssefw.documents import Trajectory as Ledger
from ssefw.store import connect
from tests.conftest import CAMPAIGN, REPOSITORY, work_here

# EMT that notes each evaluation in a file: what was computed twice can be counted.
COUNTED = """
import os
from ase.calculators.emt import EMT

class Counted(EMT):
    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        with open(os.environ["EVALUATIONS"], "a") as file:
            file.write("x")
"""


@pytest.fixture
def case(tmp_path, ssefw, monkeypatch):
    """One candidate that was worked to its end."""
    (tmp_path / "counted.py").write_text(COUNTED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SSEFW_CALCULATOR_PACKAGES", "counted")
    case = Case(tmp_path, ssefw)
    case.write()
    case.ssefw("submit", "c.yaml", "--store", "st")
    assert case.work() > 1000
    return case


class Case:
    def __init__(self, folder, ssefw):
        self.folder, self.ssefw = folder, ssefw
        self.text = CAMPAIGN.replace("ase.calculators.emt.EMT", "counted.Counted")
        self.text = re.sub(r"    - name: copper-gold\n(.*\n)*?(?=engine)", "", self.text)

    def write(self, **changes):
        text = self.text
        for key, value in changes.items():
            text = re.sub(rf"(?m)^  {key}: .*$", f"  {key}: {value}", text)
        (self.folder / "c.yaml").write_text(text)

    def work(self):
        """Work to the end and return how often forces were evaluated meanwhile."""
        path = self.folder / "evaluations"
        before = path.stat().st_size if path.exists() else 0
        python_path = f"{REPOSITORY}{os.pathsep}{self.folder}"
        env = {
            "PYTHONPATH": python_path,
            "EVALUATIONS": str(path),
            "SSEFW_CALCULATOR_PACKAGES": "counted",
        }
        work_here(folder=self.folder, env=env)
        return (path.stat().st_size if path.exists() else 0) - before

    def results(self, kind, **criteria):
        with connect(self.folder / "st", read_only=True) as connection:
            return list(connection.results.find(kind, **criteria))


def test_changed_settings_rerun_only_what_depends_on_them(case, ssefw):
    # One temperature more, and all twice as long.
    case.write(temperatures="[300, 600, 900]", length="2.0")
    said = ssefw("plan", "c.yaml", "--store", "st").stdout
    assert "md.length: 1.0 -> 2.0" in said
    assert "relax: kept (1 done)" in said
    assert "md 600 K: kept (1 done), and goes on from 1 to 2 ps" in said
    assert "md 900 K: new" in said

    refused = ssefw("submit", "c.yaml", "--store", "st", check=False)
    assert refused.returncode == 1
    assert "relax: kept" in refused.stderr
    assert "submit FILE --yes" in refused.stderr

    ssefw("submit", "c.yaml", "--yes", "--store", "st")
    # 500 steps more at two temperatures, 1000 at the third; a segment begins with one more.
    assert 2000 <= case.work() <= 2010
    (outcome,) = case.results(Outcome, campaign="small")
    assert len(outcome.diffusivities) == 3
    assert {run.n_steps for run in case.results(Ledger, campaign="small")} == {1000}
    (status,) = ssefw("status", "--json", "--store", "st").stdout.splitlines()
    assert '"concluded": 1' in status
    with connect(case.folder / "st", read_only=True) as connection:
        names = connection.launchpad.workflows.distinct("metadata.campaign")
    (earlier,) = set(names) - {"small"}
    assert earlier.startswith("small@")
    (before,) = case.results(Outcome, campaign=earlier)
    assert len(before.diffusivities) == 2
    assert before.campaign == earlier

    # The first settings again, and beside them a campaign that overlaps: all of it is there.
    case.write()
    ssefw("submit", "c.yaml", "--yes", "--store", "st")
    case.text = case.text.replace("campaign: small", "campaign: second")
    case.write(temperatures="[300]")
    ssefw("submit", "c.yaml", "--store", "st")
    assert case.work() == 0
    assert [len(o.diffusivities) for o in case.results(Outcome, campaign="small")] == [2]
    assert [len(o.diffusivities) for o in case.results(Outcome, campaign="second")] == [1]
    assert len(case.results(Outcome)) == 3
    assert len(case.results(RelaxResult, campaign="second")) == 1


def test_settings_are_not_changed_under_a_running_job(tmp_path, ssefw):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    ssefw("submit", "c.yaml", "--store", "st")
    with connect(tmp_path / "st") as connection:
        fireworks = connection.launchpad.fireworks
        fireworks.find_one_and_update({"state": "READY"}, {"$set": {"state": "RUNNING"}})
    (tmp_path / "c.yaml").write_text(CAMPAIGN.replace("fs: 2", "fs: 1").replace("[300,", "[400,"))
    done = ssefw("submit", "c.yaml", "--yes", "--store", "st", check=False)
    assert done.returncode == 1
    assert "pause small --now" in done.stderr
    with connect(tmp_path / "st", read_only=True) as connection:
        states = [
            f["state"] for f in connection.launchpad.fireworks.find({"spec.campaign": "small"})
        ]
    assert sorted(states) == ["READY", "RUNNING", "WAITING", "WAITING"]
