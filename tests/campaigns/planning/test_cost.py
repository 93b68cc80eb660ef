"""What a plan says of cost holds: never unknown for VASP, about and at most, and who is refused."""

import io
import json

import pytest
from pymatgen.core import Composition

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.cost import LEAST_DOUBT, seen_pace
from ssefw.campaigns.planning.plan import make_plan
from ssefw.campaigns.steering.holds import spent
from ssefw.documents import CampaignRecord
from ssefw.engines.scf_cost import valence_electrons
from ssefw.errors import LaunchError
from ssefw.store import connect
from tests.conftest import CAMPAIGN

VASP = CAMPAIGN.replace(
    "engine: {calculator: ase.calculators.emt.EMT}",
    "engine: {code: vasp, preset: kang2022, potcar_spec: true}",
)


@pytest.fixture
def plan(tmp_path):
    def plan(text):
        (tmp_path / "c.yaml").write_text(text)
        return make_plan(read_campaign(tmp_path / "c.yaml"))

    return plan


def test_vasp_is_never_unknown_and_grows_faster_than_its_cell(plan):
    text = VASP + "relax: {skip: true}\n"
    small = plan(text)
    large = plan(text.replace("min_length: 3", "min_length: 7"))
    (one, *_), (other, *_) = (
        [p.estimate(candidate) for candidate in p.candidates] for p in (small, large)
    )
    assert 0 < one.core_hours < one.core_hours_most
    assert other.n_atoms == 8 * one.n_atoms
    assert other.core_hours > 8 * one.core_hours


def test_of_a_calculator_that_nobody_timed_the_cost_is_unknown(plan):
    found = plan(CAMPAIGN)
    estimated = found.estimate(found.candidates[0])
    assert estimated.core_hours is None
    assert estimated.core_hours_most is None


def test_runs_in_the_store_tell_the_pace_and_the_bound_holds(finished_campaign, plan):
    """Of an engine without a model of its own, as soon as it has run."""
    folder, _ = finished_campaign
    found = plan(CAMPAIGN)
    with connect(folder / "st", read_only=True) as connection:
        pace = seen_pace(connection, found.maker.ladder.md.engine)
        used = spent(connection, "small")
        assert seen_pace(connection, plan(VASP).maker.ladder.md.engine) is None
    assert pace.n_runs == 4
    assert pace.doubt >= LEAST_DOUBT
    estimates = [found.estimate(item, pace=pace) for item in found.candidates]
    assert sum(item.core_hours for item in estimates) > 0
    assert used < sum(item.core_hours_most for item in estimates)


def test_longer_runs_and_slower_paces_cost_more(plan):
    text = CAMPAIGN.replace("engine: {calculator: ase.calculators.emt.EMT}\n", "")
    short = plan(text)
    longer = plan(text + "  converge: {max_length: 9.0}\n")
    one, other = (p.estimate(p.candidates[0]) for p in (short, longer))
    assert other.md_steps == 9 * one.md_steps
    assert one.core_hours < other.core_hours < other.core_hours_most


def test_an_adaptive_ladder_usually_ends_after_three_runs_and_never_beyond_its_hours(plan):
    text = CAMPAIGN.replace("engine: {calculator: ase.calculators.emt.EMT}\n", "")
    text = text.replace("[300, 600]", "[300, 400, 500, 600]")
    every, adaptive, within = (
        p.estimate(p.candidates[0])
        for p in map(
            plan,
            (
                text,
                text + "  ladder: adaptive\n  adaptive: {max_runs: 4}\n",
                text + "  ladder: adaptive\n  adaptive: {max_core_hours: 1.0e-6}\n",
            ),
        )
    )
    assert adaptive.md_steps == every.md_steps
    assert adaptive.core_hours_most == every.core_hours_most
    assert within.core_hours < adaptive.core_hours < every.core_hours
    assert within.core_hours_most < adaptive.core_hours_most


def test_valence_electrons():
    assert valence_electrons(Composition("Li6PS5Cl")) == 6 + 5 + 30 + 7
    assert valence_electrons(Composition("TiO2")) == 4 + 12
    assert valence_electrons(Composition("La")) > 0


# Who is refused


TOO_LARGE = CAMPAIGN.replace("min_length: 3, max_atoms: 40", "min_length: 7.3, max_atoms: 60")
"""Copper (a = 3.6 A) needs 3 x 3 x 3 cells of 4 atoms, gold with copper (3.75 A) 2 x 2 x 2."""


def test_what_is_too_large_is_refused_and_not_submitted(plan, ssefw, tmp_path):
    """Unless the cell might grow: with a change of volume up to 30 % copper might just fit."""
    text = TOO_LARGE + "relax: {skip: true}\n"
    found = plan(text)
    assert [item.formula for item in found.candidates] == ["Cu3Au"]
    (refused,) = found.excluded
    assert (refused.formula, refused.code) == ("Cu", "too_large")
    assert "needs 108 atoms" in refused.reason
    said = ssefw("plan", "c.yaml").stdout
    assert "refused: Cu: needs 108 atoms" in said
    assert "1 candidate " in said
    ssefw("submit", "c.yaml", "--store", "st")
    with connect(tmp_path / "st") as connection:
        (record,) = connection.results.find(CampaignRecord)
    assert [item.formula for item in record.candidates] == ["Cu3Au"]
    assert [item.code for item in record.excluded] == ["too_large"]


def test_what_may_grow_is_said_to_be_perhaps_refused(plan, ssefw):
    assert len(plan(TOO_LARGE).candidates) == 2
    said = ssefw("plan", "c.yaml").stdout
    assert "perhaps refused after relaxation: Cu needs 108 atoms" in said


def test_where_all_are_too_large_nothing_is_submitted(plan):
    text = TOO_LARGE.replace("max_atoms: 60", "max_atoms: 4") + "relax: {skip: true}\n"
    with pytest.raises(LaunchError, match=r"Cu needs 108 atoms.*Loosen the filters or limits"):
        plan(text)


def test_inputs_are_those_of_a_candidate_that_fits(ssefw, tmp_path):
    text = VASP.replace("min_length: 3, max_atoms: 40", "min_length: 7.3, max_atoms: 60")
    (tmp_path / "c.yaml").write_text(text)
    said = ssefw("plan", "c.yaml", "--inputs").stdout
    assert "==> md 300 K/POSCAR <==" in said
    assert "Au" in said
    (tmp_path / "c.yaml").write_text(text.replace("max_atoms: 60", "max_atoms: 20"))
    done = ssefw("plan", "c.yaml", "--inputs", check=False)
    assert done.returncode == 1
    assert "needs 108 atoms" in done.stderr


def test_the_plan_says_about_and_at_most_and_on_what_it_rests(ssefw, tmp_path):
    (tmp_path / "c.yaml").write_text(VASP)
    done = ssefw("plan", "c.yaml")
    assert "core-hours, about" in done.stdout
    assert "at most" in done.stdout
    assert "unknown" not in done.stdout
    assert "by a rough model of vasp-kang2022: a step may take 6 times as long" in done.stdout
    (first, *_) = ssefw("plan", "c.yaml", "--json").stdout.splitlines()
    record = json.load(io.StringIO(first))
    assert 0 < record["core_hours"] < record["core_hours_most"]
