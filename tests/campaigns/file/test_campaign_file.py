"""Values of a campaign file that would be taken without a word and mean something else."""

import pytest

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.plan import make_plan
from ssefw.errors import ConfigurationError, SsefwError

PLAIN = """\
campaign: c
pool: {path: pool}
md:
  temperatures: [600, 800]
  length: 10
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        (tmp_path / "c.yaml").write_text(text)
        return read_campaign(tmp_path / "c.yaml")

    return read


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("length: 10", "length: .inf", r"c\.yaml:5: md\.length: must be a number .* ps, got inf"),
        ("[600, 800]", "[600, .nan]", r"c\.yaml:4: md\.temperatures\.1: must be .* K, got nan"),
        ("[600, 800]", "600", r"md\.temperatures: must be a list, \[\.\.\.\], got 600"),
        ("pool:", "campaign: d\npool:", r"c\.yaml:2: the key 'campaign' occurs twice"),
        ("length: 10", "length: 10\n  length: 50", r"c\.yaml:6: the key 'length' occurs twice"),
        ("pool:", "specie: Lithium\npool:", r"c\.yaml:2: specie: give the symbol"),
        ("pool:", "specie: Li+\npool:", r"c\.yaml:2: specie: give the symbol"),
        ("length: 10", "length: 10\n  timestep: 0.002", r"timestep: must be .* fs, got 0\.002"),
        ("length: 10", "length: 10\n  timestep: 2000", r"timestep: must be .* fs, got 2000"),
        ("length: 10", "length: 10\n  heating: {}", r"heating \(2 ps\) would be analyzed"),
        (
            "length: 10",
            "length: 10\n  triage: {temperature: 900, length: 0.5}",
            r"equilibration \(1 ps\) must be shorter than triage\.length",
        ),
    ],
)
def test_it_is_refused_with_its_place(read, old, new, words):
    with pytest.raises(ConfigurationError, match=words):
        read(PLAIN.replace(old, new, 1))


def test_a_heating_within_the_equilibration_is_taken(read):
    heated = read(PLAIN.replace("length: 10", "length: 10\n  equilibration: 2\n  heating: {}"))
    assert heated.md.heating.length == 2.0


def test_two_structures_may_have_the_same_keys(read):
    inline = "pool: {structures: [{name: a, cif: x}, {name: b, cif: y}]}"
    assert len(read(PLAIN.replace("pool: {path: pool}", inline)).pool.structures) == 2


@pytest.mark.parametrize("walltime", ["24:00:00", '"24"', "3600"])
def test_a_walltime_without_its_quotes_or_its_minutes_is_refused(read, walltime):
    with pytest.raises(ConfigurationError, match="with the quotes"):
        read(f"{PLAIN}resources: {{md: {{walltime: {walltime}}}}}\n")


def test_a_walltime_in_quotes_is_taken(read):
    spec = read(PLAIN + 'resources: {md: {walltime: "1-02:00:00"}}\n')
    assert spec.resources["md"].minutes == 26 * 60


@pytest.mark.parametrize(
    ("feedback", "words"),
    [
        ("{labels: [nowhere.json]}", "nowhere.json"),
        ("{system: compositon}", "Did you mean 'composition'"),
        ("{settings: {n_split: 3}}", "no setting 'n_split'"),
    ],
)
def test_a_feedback_that_would_fail_when_all_is_computed_is_refused_before(
    read, tmp_path, lif, feedback, words
):
    (tmp_path / "pool").mkdir()
    lif.to(tmp_path / "pool/LiF.cif")
    spec = read(f"{PLAIN}feedback: {feedback}\n")
    with pytest.raises(SsefwError, match=words):
        make_plan(spec)
