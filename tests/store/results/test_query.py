"""What is asked of stored results is what comes, in order and in pages."""

import pytest
from pymatgen.core import Composition

from ssefw.documents import CampaignRecord, Gate, Label, LabelSet, PlannedCandidate
from ssefw.errors import DataError
from ssefw.store import connect
from ssefw.store.results.query import Ask, matching_formulas
from tests.outcomes import bound, diffusivity, outcome, value

FOUND = {
    "Li6PS5Cl": value(2e-3),
    "Li3PS4": value(1e-4, decades=1.0),
    "Li10GeP2S12": value(1e-2),
    "Li3YCl6": value(5e-4),
    "Li2O": bound(1e-9),
    "LiCl": bound(1e-3),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with connect(tmp_path_factory.mktemp("query") / "store") as connection:
        for formula, sigma in FOUND.items():
            item = outcome(formula, sigma, campaign="even" if len(formula) % 2 == 0 else "odd")
            connection.results.add(item, candidate=item.candidate_id, campaign=item.campaign)
        failed = outcome("LiH", status="failed", reason="no energy")
        connection.results.add(failed, candidate="h", campaign="even")
        yield connection.results


def formulas(results, sort="sigma", **asked):
    window = {key: asked.pop(key) for key in ("skip", "limit", "reverse") if key in asked}
    found = results.ask("outcomes", Ask(**asked), sort=sort, **window)
    return [item.formula for item in found]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"formula": "Li3PS4"}, ["Li3PS4"]),
        ({"formula": "S4PLi3"}, ["Li3PS4"]),
        ({"formula": "Li6(PS4)2"}, ["Li3PS4"]),
        ({"system": "Li-P-S"}, ["Li3PS4"]),
        ({"elements": ["S"]}, ["Li10GeP2S12", "Li6PS5Cl", "Li3PS4"]),
        ({"elements": ["S"], "without": ["Ge", "Cl"]}, ["Li3PS4"]),
        ({"elements": ["Cl"], "min_sigma": 1e-3}, ["Li6PS5Cl"]),
        ({"min_sigma": 3e-4, "max_sigma": 3e-3, "reading": "value"}, ["Li6PS5Cl", "Li3YCl6"]),
        ({"min_sigma": 3e-4, "max_sigma": 4e-3}, ["Li6PS5Cl"]),
        ({"min_sigma": 1e-8, "max_sigma": 6e-5, "reading": "possible"}, ["Li3PS4", "LiCl"]),
        ({"elements": ["Cl"], "max_sigma": 1e-12, "reading": "possible"}, ["LiCl"]),
        ({"min_sigma": 5e-5}, ["Li10GeP2S12", "Li6PS5Cl", "Li3YCl6"]),
        ({"max_sigma": 1e-8}, ["Li2O"]),
        ({"status": "failed"}, ["LiH"]),
        ({"campaign": "odd", "status": "determined"}, ["Li10GeP2S12", "Li3YCl6"]),
        ({"elements": ["Xe"]}, []),
        ({"engine": "vasp-xrdmatch"}, []),
        ({"temperature": 300.0, "min_sigma": 5e-3}, ["Li10GeP2S12"]),
    ],
)
def test_outcomes_are_found_by(results, asked, expected):
    assert formulas(results, **asked) == expected


def test_the_best_come_first_and_pages_follow_each_other(results):
    everything = formulas(results)
    assert everything[:4] == ["Li10GeP2S12", "Li6PS5Cl", "Li3YCl6", "Li3PS4"]
    pages = [formulas(results, skip=start, limit=3) for start in (0, 3, 6)]
    assert [x for page in pages for x in page] == everything
    assert formulas(results, status="determined", reverse=True)[0] == "Li3PS4"


def test_a_stream_is_what_the_pages_are(results):
    stream = results.ask("outcomes", Ask(), sort="formula")
    assert next(stream).formula == "Li10GeP2S12"
    assert len([*stream]) == 6


@pytest.mark.parametrize(
    ("kind", "asked", "sort", "message"),
    [
        ("trajectories", {"min_sigma": 1e-3}, None, "no such range"),
        ("trajectories", {"status": "failed"}, None, "have no 'status'"),
        ("outcomes", {}, "colour", "cannot be sorted by 'colour'"),
        ("outcomes", {"elements": ["Lithium"]}, None, "'Lithium' is no element"),
        ("things", {}, None, "no kind 'things'"),
    ],
)
def test_what_cannot_be_answered_is_refused(results, kind, asked, sort, message):
    with pytest.raises(DataError, match=message):
        list(results.ask(kind, Ask(**asked), sort=sort))


def test_only_the_last_output_of_a_job_is_an_answer(tmp_path):
    with connect(tmp_path / "store") as connection:
        for index, sigma in ((1, 1e-2), (2, 1e-3)):
            record = outcome("Li2O", sigma).as_dict()
            connection.job_store.update(
                {"uuid": "job", "index": index, "output": record, "metadata": {}}
            )
        found = list(connection.results.ask("outcomes", Ask(), sort="sigma", limit=1))
        assert [item.conductivity.conductivity.value for item in found] == [1e-3]


@pytest.mark.parametrize("asked", [{"elements": ["Zz"]}, {"without": ["s"]}, {"system": "Li,P"}])
def test_what_is_no_element_is_said(asked):
    with pytest.raises(DataError, match="is no element"):
        Ask(**asked)


def test_elements_are_whole_symbols():
    names = ["LiCl", "Li2CO3", "LiCoO2", "LiI"]
    assert matching_formulas(names, Ask(elements=["C"])) == ["Li2CO3"]
    assert matching_formulas(names, Ask(elements=["I"])) == ["LiI"]


@pytest.mark.parametrize(
    "asked",
    [
        {"elements": ["S"]},
        {"elements": ["S", "P"], "without": ["Ge", "Cl"]},
        {"system": "Li-P-S"},
        {"system": "Li-P-S", "elements": ["P"]},
        {"without": ["C"]},
        {"system": "Li-Cl"},
        {"elements": ["I"]},
    ],
)
def test_formulas_match_that_have_the_elements(asked):
    names = [
        "Li10Ge(PS6)2", "Li3PS4", "Li6PS5Cl", "Li2SO4", "LiSi", "Li2S", "LiCl", "LiI", "Li2CO3",
        "Li7P3S11", "LiIn", "Li(PS)2", "P2S5",
    ]  # fmt: skip
    only = set(asked["system"].split("-")) if "system" in asked else None

    def fits(symbols):
        return (
            set(asked.get("elements", ())) <= symbols
            and not set(asked.get("without", ())) & symbols
            and only in (None, symbols)
        )

    right = [name for name in names if fits({e.symbol for e in Composition(name)})]
    assert matching_formulas(names, Ask(**asked)) == sorted(right)


def test_many_formulas_give_what_few_give(results, monkeypatch):
    few = formulas(results, elements=["S"], min_sigma=1e-3)
    monkeypatch.setattr("ssefw.store.results.query.MANY_FORMULAS", 0)
    assert formulas(results, elements=["S"], min_sigma=1e-3) == few


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Outcomes with temperatures and gates, runs, and the labels that were made of them."""
    with connect(tmp_path_factory.mktemp("mixed") / "store") as connection:
        for formula, sigma in FOUND.items():
            item = outcome(formula, sigma, campaign="salts", candidate_id=f"id-{formula}")
            connection.results.add(item, candidate=item.candidate_id, campaign="salts")
        gate = Gate(name="relaxation", passed=False, code="volume_change", message="it grew")
        rejected = outcome("LiH", status="rejected").model_copy(update={"gates": (gate,)})
        connection.results.add(rejected, candidate="id-LiH", campaign="salts")
        run = diffusivity(600.0)
        planned = [
            PlannedCandidate(candidate_id=f"id-{formula}", formula=formula, n_atoms=1, md_steps=1)
            for formula in FOUND
        ]
        record = CampaignRecord(campaign="salts", plan_key="p", spec={}, candidates=tuple(planned))
        connection.results.add(record, candidate="", campaign="salts")
        connection.results.add(run, candidate="id-LiCl", campaign="salts")
        labels = [
            Label(
                candidate_id=formula,
                formula=formula,
                conductivity=sigma if not isinstance(sigma, float) else value(sigma),
                temperature=300.0,
                kind=kind,
                reference=reference,
                row_id=row,
            )
            for formula, sigma, kind, reference, row in (
                ("Li6PS5Cl", 2e-3, "experiment", "10.1016/j.ssi.2012.06.008", "a1"),
                ("Li6PS5Cl", 5e-3, "mlip", "campaign salts", "salts/id-Li6PS5Cl"),
                ("Li2O", bound(1e-9), "aimd", "campaign dft", "dft/id-Li2O"),
            )
        ]
        first = LabelSet(name="starter", labels=tuple(labels[:1]))
        for labels_ in (first, LabelSet(name="starter+computed", labels=tuple(labels))):
            connection.results.add(labels_, candidate="", campaign="")
        yield connection.results


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["Li10GeP2S12", "Li6PS5Cl", "Li3YCl6", "Li3PS4", "LiCl", "Li2O"]),
        ({"min_sigma": 1e-3}, ["Li10GeP2S12", "Li6PS5Cl"]),
        ({"min_sigma": 5e-5}, ["Li10GeP2S12", "Li6PS5Cl", "Li3YCl6"]),
        ({"max_sigma": 1e-8}, ["Li2O"]),
        ({"elements": ["Cl"], "without": ["S"]}, ["Li3YCl6", "LiCl"]),
        ({"campaign": "nobody"}, []),
    ],
)
def test_conductivities_are_a_kind_of_their_own(mixed, asked, expected):
    found = list(mixed.ask("conductivities", Ask(**asked), sort="sigma"))
    assert {item.formula for item in found} == set(expected)
    values = [item.conductivity.value for item in found if item.conductivity.value is not None]
    assert values == sorted(values, reverse=True)
    assert all(item.temperature == 300.0 for item in found)


def test_conductivities_at_the_temperature_of_a_run(mixed):
    found = list(mixed.ask("conductivities", Ask(temperature=750.0, min_sigma=1e-3), sort="sigma"))
    assert [item.formula for item in found] == ["Li10GeP2S12", "Li6PS5Cl"]
    assert all(item.is_simulated and item.temperature == 750.0 for item in found)
    assert list(mixed.ask("conductivities", Ask(temperature=123.0))) == []


def test_outcomes_are_found_by_the_code_of_their_gate(mixed):
    assert [o.formula for o in mixed.ask("outcomes", Ask(gate="volume_change"))] == ["LiH"]
    assert list(mixed.ask("outcomes", Ask(gate="not_relaxed"))) == []


def test_runs_are_found_by_the_formula_of_their_candidate(mixed):
    assert len(list(mixed.ask("diffusivities", Ask(elements=["Cl"], temperature=600.0)))) == 1
    assert len(list(mixed.ask("diffusivities", Ask(formula="LiCl")))) == 1
    assert list(mixed.ask("diffusivities", Ask(elements=["S"]))) == []
    assert list(mixed.ask("diffusivities", Ask(formula="LiCl", candidate="id-Li2O"))) == []


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ({}, ["salts/id-Li6PS5Cl", "a1", "dft/id-Li2O"]),
        ({"kind_of_label": "mlip"}, ["salts/id-Li6PS5Cl"]),
        ({"source": "10.1016/J.SSI"}, ["a1"]),
        ({"source": "campaign"}, ["salts/id-Li6PS5Cl", "dft/id-Li2O"]),
        ({"campaign": "dft"}, ["dft/id-Li2O"]),
        ({"elements": ["S"], "max_sigma": 5e-3}, ["a1"]),
        ({"max_sigma": 1e-8}, ["dft/id-Li2O"]),
        ({"formula": "Li2O", "temperature": 300.0}, ["dft/id-Li2O"]),
    ],
)
def test_labels_are_found_in_their_sets_each_once(mixed, asked, rows):
    found = mixed.ask("labels", Ask(**asked), sort="sigma")
    assert [label.row_id for label in found] == rows


@pytest.mark.parametrize(
    ("kind", "asked", "message"),
    [
        ("labels", {"gate": "volume_change"}, "no gates"),
        ("conductivities", {"kind_of_label": "mlip"}, "ask for labels"),
        ("outcomes", {"source": "x"}, "have no 'sources'"),
        ("candidates", {"source": "x"}, "no 'source' yet"),
    ],
)
def test_what_another_kind_has_is_refused(mixed, kind, asked, message):
    with pytest.raises(DataError, match=message):
        list(mixed.ask(kind, Ask(**asked)))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("asked", [{}, {"temperature": 750.0}])
def test_a_page_of_conductivities_is_a_part_of_all(mixed, asked, reverse):
    whole = list(mixed.ask("conductivities", Ask(**asked), sort="sigma", reverse=reverse))
    assert len(whole) == len(FOUND)
    for skip, limit in ((0, 2), (2, 2), (3, 5), (6, 1)):
        page = mixed.ask(
            "conductivities", Ask(**asked), sort="sigma", reverse=reverse, skip=skip, limit=limit
        )
        assert list(page) == whole[skip : skip + limit]
