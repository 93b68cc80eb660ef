"""The block ``neb`` of a campaign file: what it becomes, and what it refuses."""

import pytest

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.plan import candidate_maker, make_plan
from ssefw.errors import ConfigurationError
from tests.conftest import CAMPAIGN, REPOSITORY

BARRIERS = CAMPAIGN[: CAMPAIGN.index("md:\n")]
QE = "{code: espresso, options: {kspacing: 0.4}}"
HULL = "{code: espresso, preset: hull}"


def spec_of(folder, text):
    (folder / "c.yaml").write_text(text)
    return read_campaign(folder / "c.yaml")


def test_bands_without_dynamics_have_no_ladder(tmp_path):
    maker = candidate_maker(spec_of(tmp_path, BARRIERS + "neb: {images: 5, path: bvse}\n"))
    assert maker.ladder is None
    assert maker.neb.relax is None
    assert maker.neb.settings.n_images == 5
    assert maker.neb.settings.path == "bvse"


def test_bands_are_predicted_from_their_images_and_hops(tmp_path):
    default = BARRIERS.replace("{calculator: ase.calculators.emt.EMT}", "{code: ase}")

    def hours(block, text=default):
        plan = make_plan(spec_of(tmp_path, text + f"neb: {{{block}}}\n"))
        return plan.estimate(plan.candidates[0]).core_hours

    one = hours("images: 5, max_hop: 2.8")
    assert 0 < one < hours("images: 7, max_hop: 2.8")
    assert one < hours("images: 5, max_hop: 4, hops: all")
    assert hours("images: 5, max_hop: 2") is None  # no hop is that short
    assert hours("images: 5", BARRIERS) is None  # nobody knows the speed of any calculator


def test_interstitials_of_a_campaign_carry_the_opposite_charge(tmp_path):
    maker = candidate_maker(spec_of(tmp_path, BARRIERS + "neb: {mechanism: concerted}\n"))
    assert maker.neb.settings.mechanism == "concerted"
    assert maker.neb.settings.cell_charge == 1.0


def test_another_engine_for_bands_relaxes_the_crystal_anew(tmp_path):
    text = f"neb: {{engine: {QE}, first: {{code: ase}}, end_fmax: 0.0003}}\n"
    maker = candidate_maker(spec_of(tmp_path, CAMPAIGN + text))
    assert maker.ladder is not None
    assert maker.neb.engine.kspacing == 0.4
    assert maker.neb.relax.engine == maker.neb.engine
    assert maker.neb.relax.fmax == maker.neb.settings.end_fmax == 0.0003
    assert maker.neb.first.name == "sevennet-l3i5"


def test_the_switch_of_the_published_protocol_is_valid(tmp_path):
    lines = (REPOSITORY / "workflows/laskowski2023_neb.yaml").read_text().splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("  # engine:"))
    switched = [*lines[:at], *(line.replace("  # ", "  ", 1) for line in lines[at:])]
    maker = make_plan(spec_of(tmp_path, "\n".join(switched) + "\n")).maker
    assert maker.neb.engine.name == "espresso"
    assert maker.neb.first.name == "sevennet-l3i5"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BARRIERS, "'neb' for barriers without dynamics"),
        (CAMPAIGN + "neb: {engine: {code: vasp, preset: hull}}\n", "has no bands"),
        (CAMPAIGN + "neb: {converge: 0.001}\n", "for the code 'espresso'"),
        (CAMPAIGN.replace("{calculator: ase.calculators.emt.EMT}", HULL), "has no dynamics"),
        (CAMPAIGN + "neb: {images: 2}\n", "neb.images"),
        (CAMPAIGN + "neb: {hops: longest}\n", "neb.hops"),
        (CAMPAIGN + "neb: {engine: {code: espresso, incar: {}}}\n", "not for the code 'espresso'"),
    ],
)
def test_what_cannot_run_is_refused_with_its_key(tmp_path, text, message):
    with pytest.raises(ConfigurationError, match=message):
        spec_of(tmp_path, text)


def test_a_setting_that_espresso_does_not_know_is_named_with_those_it_does(tmp_path):
    spec = spec_of(tmp_path, BARRIERS + "neb: {engine: {code: espresso, options: {ecutwfk: 30}}}\n")
    with pytest.raises(ConfigurationError, match=r"ecutwfk.*did you mean 'ecutwfc'"):
        candidate_maker(spec)
