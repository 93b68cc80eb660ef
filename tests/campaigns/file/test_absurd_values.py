"""No number that is none, endless or absurd reaches the work: keys of campaign files."""

import copy
import math
from functools import cache

import pytest
import yaml
from pydantic import ValidationError

from ssefw.campaigns.file import CampaignSpec, read_campaign
from ssefw.campaigns.file.block import Block
from ssefw.campaigns.queueing.site import Site, parse_site
from ssefw.errors import ConfigurationError
from ssefw.mistakes import mistakes_in

FULL = """\
campaign: full
pool: {path: pool, limit: 3, structures: [{name: a, cif: x, poscar: "", reference: r}]}
filters: [{band_gap: {at_least: 1.0}}]
screen: {model: m.model, phases: p.json, top: 5}
engine: {code: ase, calculator: ase.calculators.emt.EMT}
bvse: {max_barrier: 0.6, resolution: 0.2}
relax: {fmax: 0.05, max_steps: 10, max_volume_change: 0.3}
volume: {mode: thermal, temperature: 300, length: 4, equilibration: 1, tolerance: 0.1}
supercell: {min_length: 10, max_atoms: 300}
orderings: {number: 3, relax: 4, temperature: 1000, permittivity: 10, tolerance: 0.01,
            limit: 0.02, seed: 0}
neb:
  engine: {code: espresso, options: {kspacing: 0.5}}
  first: {code: ase}
  converge: 0.001
  max_hop: 6
  max_hops: 3
  min_length: 10
  max_atoms: 100
  images: 5
  fmax: 0.05
  max_steps: 100
  end_fmax: 0.01
  end_steps: 100
  charge: -1
  max_barrier: 0.5
md:
  ladder: adaptive
  adaptive: {interval_decades: 1, max_runs: 4, max_core_hours: 10}
  temperatures: [600, 800, 1000]
  length: 10
  equilibration: 2
  timestep: 2
  steps_per_frame: 10
  damping: 100
  seed: 1
  heating: {start: 100, length: 1}
  triage: {temperature: 900, length: 5, min_hops: 5}
  converge: {relative_error: 0.3, max_length: 100, step: 10, enough_bound: 1.0e-9, min_hops: 5,
             give_up: 4, max_temperature_error: 0.2}
learn:
  temperatures: [1000, 700]
  length: 2
  frames: 100
  rattled: 10
  cell: {min_length: 8, max_atoms: 100}
  explore: {temperatures: [1100], length: 20, labels: 10, rounds: 3}
  student: {radial_cutoff: 6, angular_cutoff: 4.5, n_radial: 5, n_angular: 3, functions: 5,
            neurons: 10, steps: 1000, refit_steps: 500}
  accept: {stable: 50}
  budget: 1000
  pack: 4
  seed: 0
conductivity: {temperature: 300, level: 0.9, determined_within: 2, prefactor_spread: 1}
confirm: {above: 0.0001, temperature: 800, arrangements: 1}
resources:
  md: {nodes: 1, tasks_per_node: 2, cpus_per_task: 2, gpus_per_node: 0, memory: 4000,
       walltime: "1:00:00", queue: cpu, account: a, directives: ["--constraint=cpu"]}
budget: {core_hours: 100, queue_jobs: 4}
feedback: {threshold: 0.0001, batch: 2, target: 3, min_expected: 0.1, exploration: 0.5,
           per_framework: 2}
"""
SITE = """\
scheduler: slurm
resources: {nodes: 1, memory: 1000}
limits: {jobs: 3, waiting: 2, per_job: 1}
idle: 30
"""
ABSURD = [math.nan, math.inf, -math.inf, -1, 1e300, 10**21, 10**5000, True, "ten", None, [1], {}]


def leaves(content, place=()):
    """Yield the place of every value that is not a block or a list."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from leaves(value, (*place, key))
        else:
            yield (*place, key), value


@cache
def loaded(text):
    return yaml.safe_load(text)


def changed(text, place, value):
    content = copy.deepcopy(loaded(text))
    block = content
    for key in place[:-1]:
        block = block[key]
    block[place[-1]] = value
    return content


def numbers(text):
    for place, value in leaves(yaml.safe_load(text)):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and place[0] not in {"filters"} and "options" not in place:
            yield pytest.param(place, id=".".join(map(str, place)))


def blocks(kind=Block):
    for part in kind.__subclasses__():
        yield part
        yield from blocks(part)


def test_the_full_file_has_every_number_of_the_schema(tmp_path):
    (tmp_path / "c.yaml").write_text(FULL)
    read_campaign(tmp_path / "c.yaml")
    written = {place[-1] for place, _ in leaves(yaml.safe_load(FULL))}
    written |= {"temperatures"}
    for kind in blocks():
        for name, schema in kind.model_json_schema().get("properties", {}).items():
            kinds = {part.get("type") for part in schema.get("anyOf", [schema])}
            if kinds & {"number", "integer"}:
                assert name in written, f"{kind.__name__}.{name}"


@pytest.mark.parametrize("place", list(numbers(FULL)))
def test_an_absurd_number_in_a_campaign_is_refused_with_its_place(place):
    for value in ABSURD:
        if (place[-1] == "charge" and value == -1) or value is None:
            continue
        with pytest.raises(ValidationError) as caught:
            CampaignSpec.model_validate(changed(FULL, place, value))
        said = dict(mistakes_in(caught.value, CampaignSpec))
        assert place in said, (value if value != 10**5000 else "10^5000", said)
        assert "must be a" in said[place]
        assert len(said[place]) < 200


@pytest.mark.parametrize("place", list(numbers(SITE)))
def test_an_absurd_number_of_a_site_is_refused_with_its_place(tmp_path, place):
    for value in (math.nan, -1, 1e300, "ten"):
        text = yaml.safe_dump(changed(SITE, place, value))
        with pytest.raises(ConfigurationError, match="must be a"):
            parse_site(text, tmp_path / "queue.yaml")


def test_the_limits_stand_in_the_schema_for_editors():
    schema = CampaignSpec.model_json_schema()["$defs"]["SupercellSpec"]["properties"]
    assert schema["min_length"]["exclusiveMinimum"] == 0
    assert schema["min_length"]["maximum"] == 1000
    assert Site.model_json_schema()["properties"]["idle"]["minimum"] == 0


@pytest.mark.parametrize("text", ["1e-4", "0.5", " 2 "])
def test_a_number_that_yaml_takes_for_text_is_one(text):
    content = changed(FULL, ("feedback", "exploration"), text)
    assert CampaignSpec.model_validate(content).feedback.exploration == float(text)


PYDANTIC = ["Input should", "Value error", "valid", "Extra inputs", "Field required", "instance of"]


@pytest.mark.parametrize("value", [5, "text", ["a"], {"a": 1}, None, True], ids=str)
def test_nothing_is_said_in_the_words_of_a_library(value):
    """Every key of a full file gets a value of every wrong kind."""
    places = {place[:depth] for place, _ in leaves(loaded(FULL)) for depth in (1, 2, 3)}
    said = []
    for place in places:
        try:
            CampaignSpec.model_validate(changed(FULL, place, value))
        except ValidationError as error:
            said += [what for _, what in mistakes_in(error, CampaignSpec)]
    assert len(said) > 10
    assert not [what for what in said if any(word in what for word in PYDANTIC)]
    assert not [what for what in said if "not written as it must be" in what]


def test_all_mistakes_are_said_unknown_keys_first(ssefw, tmp_path):
    text = "campaign: c\npool: {path: p}\nmd:\n  temperatures: [hot]\n  lenght: 10\n"
    (tmp_path / "c.yaml").write_text(text)
    lines = ssefw("plan", "c.yaml", check=False).stderr.splitlines()
    temperature = "must be a number above 0 and at most 100000 K, got 'hot'."
    assert lines == [
        "Error: c.yaml:5: unknown key 'md.lenght'; did you mean 'length'?",
        f"Error: c.yaml:4: md.temperatures.0: {temperature}",
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("campaign: full", "campaign: my campaign", "letters, digits, dots.*my-campaign"),
        ("campaign: full", "campaign: 2026", "campaign: must be text, got 2026"),
        ("[{band_gap: {at_least: 1.0}}]", "[kang2022]", "filters: kang2022"),
        ("[{band_gap: {at_least: 1.0}}]", "{band_gap: 1}", "filters: must be the name of a preset"),
        ("ladder: adaptive", "ladder: adaptiv", "md.ladder: must be 'all' or 'adaptive'"),
        ("[600, 800, 1000]", "[600]", "adaptive chooses among temperatures"),
        ("min_length: 10, max_atoms: 300", "min_length: 1.0e9", "at most 1000 A"),
        ("resources:\n  md:", "resources:\n  mdd:", "unknown key 'resources.mdd'; did you mean"),
        ("nodes: 1", "nodez: 1", "unknown key 'resources.md.nodez'; did you mean 'nodes'"),
        (
            "md:\n  ladder",
            "molecular:\n  ladder",
            "unknown key 'molecular'; known keys: budget, bvse",
        ),
        ("name: a,", "nom: a,", "unknown key 'pool.structures.0.nom'"),
        ("conductivity: {", "conductivity: {temprature: 3, ", "did you mean 'temperature'"),
    ],
)
def test_a_mistake_is_said_in_the_words_of_the_file(tmp_path, old, new, words):
    assert old in FULL
    (tmp_path / "c.yaml").write_text(FULL.replace(old, new, 1))
    with pytest.raises(ConfigurationError, match=words):
        read_campaign(tmp_path / "c.yaml")
