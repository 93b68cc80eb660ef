"""Short names of potentials, from a campaign file to the key of a result."""

import pytest
from monty.json import MontyDecoder
from pydantic import ValidationError

from ssefw.campaigns.file import CampaignSpec, EngineSpec
from ssefw.campaigns.planning.plan import candidate_maker
from ssefw.engines.ase import AseEngine
from ssefw.engines.base import settings_hash
from ssefw.engines.potentials.names import DEFAULT_POTENTIAL, POTENTIALS
from ssefw.engines.potentials.sevennet import FastSevenNet
from ssefw.engines.potentials.sevennet_weights import checkpoint_hash, checkpoint_path
from ssefw.errors import ConfigurationError, EngineError

SEVENNETS = [name for name in POTENTIALS if name.startswith("sevennet")]


@pytest.mark.parametrize("name", SEVENNETS)
def test_a_short_name_stands_for_weights_of_a_known_hash(name):
    options = POTENTIALS[name].options
    assert checkpoint_hash(checkpoint_path(options["model"])) == options["checkpoint"]


def test_other_weights_than_those_of_the_hash_are_refused():
    with pytest.raises(EngineError, match="has the hash 7052cb42b7b3be42, not 0123"):
        FastSevenNet(model="0", checkpoint="0123")


@pytest.mark.parametrize("name", SEVENNETS)
def test_an_engine_says_which_potential_it_is(name):
    engine = AseEngine.of(name, threads=2)
    assert engine.name == name
    assert engine.nominal_speed == POTENTIALS[name].speed
    assert {"ase", "sevenn"} <= set(engine.versions())
    again = MontyDecoder().process_decoded(engine.as_dict())
    assert again == engine


def test_results_of_different_potentials_have_different_keys():
    keys = {settings_hash(AseEngine.of(name)) for name in POTENTIALS}
    assert len(keys) == len(POTENTIALS)


def test_chgnet_by_its_short_name_continues_what_was_made_without_one():
    by_path = AseEngine(calculator="ssefw.engines.chgnet.FastCHGNet")
    assert settings_hash(AseEngine.of("chgnet")) == settings_hash(by_path)


def test_what_is_default_says_so_and_by_which_weights():
    engine = AseEngine(options={"threads": 2})
    assert AseEngine() == AseEngine.of(DEFAULT_POTENTIAL)
    assert engine == AseEngine.of(DEFAULT_POTENTIAL, threads=2)
    assert {"model", "checkpoint"} <= AseEngine().as_dict()["options"].keys()
    block = EngineSpec.model_validate({"options": {"threads": 2}}).model_dump(mode="json")
    assert block["potential"] == DEFAULT_POTENTIAL
    named = EngineSpec(potential=DEFAULT_POTENTIAL, options={"threads": 2})
    assert EngineSpec.of_record(block) == named


def test_another_model_is_no_option_of_a_potential():
    with pytest.raises(ConfigurationError, match="'model' of this potential is 'l3i5', not '0'"):
        AseEngine(options={"model": "0"})


@pytest.mark.parametrize("block", [{}, {"potential": None, "calculator": None, "options": {}}])
def test_a_record_without_a_potential_is_of_the_time_of_chgnet(block):
    assert EngineSpec.of_record({"code": "ase", "incar": {}} | block).potential == "chgnet"


def test_only_what_names_nothing_goes_on_with_an_earlier_default():
    nothing, emt = {"code": "ase"}, {"code": "ase", "calculator": "ase.calculators.emt.EMT"}
    assert EngineSpec().as_begun(nothing).potential == "chgnet"
    assert EngineSpec(options={"threads": 2}).as_begun(nothing).potential == "chgnet"
    for spec in (
        EngineSpec(potential=DEFAULT_POTENTIAL),
        EngineSpec(**emt),
        EngineSpec(code="vasp"),
    ):
        assert spec.as_begun(nothing) is spec
    for block in (None, emt, {"code": "vasp"}, {"code": "ase", "potential": "sevennet-0"}):
        assert EngineSpec().as_begun(block).potential == DEFAULT_POTENTIAL


def test_an_unknown_potential_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigurationError, match="are chgnet, sevennet-0, sevennet-l3i5"):
        AseEngine.of("sevennet")


def test_a_campaign_names_a_potential_or_a_calculator():
    with pytest.raises(ValidationError, match="name two engines"):
        EngineSpec(potential="chgnet", calculator="ase.calculators.emt.EMT")
    with pytest.raises(ValidationError, match="'potential' is not for the code 'vasp'"):
        EngineSpec(code="vasp", potential="chgnet")


@pytest.mark.parametrize("name", POTENTIALS)
def test_a_campaign_runs_the_potential_that_it_names(name, tmp_path):
    spec = {"engine": {"potential": name}, "campaign": "c", "pool": {"path": str(tmp_path)}}
    maker = candidate_maker(CampaignSpec.model_validate(spec | {"neb": {}}))
    assert maker.relax.engine == AseEngine.of(name)
