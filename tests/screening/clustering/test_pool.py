"""From structures to clusters of a pool: cache, labels, study, shortlist, screener."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from pymatgen.core import Lattice, Structure

from ssefw.cli.screen.group import command as screen
from ssefw.data.dataset import dataset_of
from ssefw.data.materials import Material
from ssefw.data.structures import content_id
from ssefw.documents import Cell, Estimate, Label
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.base import load_screener, make_screener, save_screener
from ssefw.screening.clustering import representations as module
from ssefw.screening.clustering.matching import label_pool, match_labels, with_structures
from ssefw.screening.clustering.representations import (
    FeatureCache,
    Features,
    Representation,
    all_representations,
    represent,
)
from ssefw.screening.clustering.shortlist import enrichment, share_for_half, shortlist
from ssefw.screening.clustering.study import choose, mixed, study
from ssefw.screening.clustering.ward import build_tree
from tests.screening.conftest import make_labels

CAN = Representation("soap", "CAN")


FACES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def halite(a, anion="Cl"):
    coords = np.vstack([FACES, FACES + 0.5])
    return Structure(Lattice.cubic(a), ["Li"] * 4 + [anion] * 4, coords)


def fluorite(a):
    coords = np.vstack([FACES + 0.25, FACES + 0.75, FACES])
    return Structure(Lattice.cubic(a), ["Li"] * 8 + ["S"] * 4, coords)


def material(name, structure, **properties):
    return Material(
        name=name,
        formula=structure.composition.reduced_formula,
        properties=properties,
        build=lambda: structure,
    )


def label(formula, sigma, **details):
    return Label(
        candidate_id=details.pop("candidate_id", formula),
        formula=formula,
        conductivity=Estimate(value=sigma, lower=sigma, upper=sigma, unit="S/cm"),
        temperature=300,
        kind="experiment",
        **details,
    )


@pytest.fixture(scope="module")
def two_kinds():
    """Twenty halites and twenty fluorites of slightly different size; the latter conduct."""
    rng = np.random.default_rng(0)
    cells = [halite(5.1 + 0.1 * x) for x in rng.random(20)]
    cells += [fluorite(5.7 + 0.1 * x) for x in rng.random(20)]
    sigmas = 10.0 ** np.where(np.arange(40) < 20, -9, -3)
    return cells, sigmas


def test_rows_are_read_back_as_they_were_computed(two_kinds, tmp_path, monkeypatch):
    cells, _ = two_kinds
    wanted = all_representations(["soap", "density"], ["CAN", "unperturbed"])
    cache = FeatureCache(tmp_path / "kept" / "rows.sqlite")
    first = represent(cells[:5], wanted, cache=cache)
    monkeypatch.setattr(module, "_compute", lambda *_: pytest.fail("computed again"))
    again = represent(cells[:5], wanted, cache=cache)
    for one in wanted:
        np.testing.assert_array_equal(first[one].values, again[one].values)


def test_what_fails_is_a_row_with_a_reason_and_is_kept_too(tmp_path):
    pytest.importorskip("matminer")
    mixed_site = Structure(Lattice.cubic(4), [{"Li": 0.5, "Na": 0.5}, "Cl"], [[0] * 3, [0.5] * 3])
    wanted = [Representation("ewald", "CAMN"), CAN]
    cache = FeatureCache(tmp_path / "rows.sqlite")
    for _ in range(2):
        found = represent([mixed_site, halite(5.1)], wanted, cache=cache)
        assert found[CAN].usable.all()
        assert found[wanted[0]].usable.tolist() == [False, True]
        assert "shared sites" in found[wanted[0]].problems[0]


def test_a_file_that_is_no_cache_is_refused(tmp_path):
    path = tmp_path / "rows.sqlite"
    path.write_text("not a database, and longer than a header would be " * 20)
    with pytest.raises(DataError, match="no cache of descriptors"):
        represent([halite(5.1)], [CAN], cache=FeatureCache(path))


def test_workers_do_not_change_rows(two_kinds):
    cells, _ = two_kinds
    one, two = (represent(cells[:4], [CAN], workers=n)[CAN].values for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_rows_of_different_length_are_filled_with_zeros_and_names_are_joined():
    pytest.importorskip("matminer")
    small = Structure(Lattice.cubic(3.4), ["Li", "O"], [[0] * 3, [0.5] * 3])
    coulomb = Representation("sine_coulomb", "CAMN")
    values = represent([halite(5.1), small], [coulomb])[coulomb].values
    assert values.shape == (2, 8)
    assert (values[1, 2:] == 0).all()
    bonds = Representation("bond_fraction", "unperturbed")
    found = represent([halite(5.1), halite(5.5, "Br")], [bonds])[bonds]
    place = [found.names.index(f"{name} bond frac.") for name in ("Cl - Li", "Br - Li")]
    np.testing.assert_allclose(found.values[:, place], np.eye(2))


def test_a_representation_is_read_by_name():
    assert str(Representation.parse("mxrd-A-40")) == "mxrd-A-40"
    assert len(all_representations()) == 180
    with pytest.raises(ConfigurationError, match="Unknown simplification 'CAB'"):
        Representation.parse("soap-CAB")


def test_labels_find_their_row_by_code_or_by_formula_and_group():
    pool = [
        material("a", halite(5.13), icsd=[111, 222]),
        material("b", fluorite(5.7)),
        material("c", halite(5.2, "Br")),
    ]
    cell = Cell(a=5.7, b=5.7, c=5.7, alpha=90, beta=90, gamma=90, space_group=225)
    other = cell.model_copy(update={"space_group": 62})
    labels = [
        label("LiCl", 1e-8, row_id="222"),
        label("Li2S", 1e-6, cell=cell),
        label("Li2S", 1e-5, cell=other),
        label("LiBr", 1e-9),
    ]
    assert [(m.label, m.row) for m in match_labels(labels, pool)] == [(0, 0), (1, 1)]
    found = label_pool(pool, labels)
    assert found.rows.tolist() == [0, 1]
    np.testing.assert_allclose(found.values, [-8, -6])
    assert found.counts["not in the pool"] == 2


def test_labels_with_a_crystal_of_their_own_join_the_pool_once():
    own = fluorite(5.71)
    labels = [label("Li2S", s, structure=own, candidate_id=content_id(own)) for s in (1e-4, 1e-6)]
    found = label_pool([material("a", halite(5.13))], labels)
    assert (len(found.materials), found.rows.tolist()) == (2, [1])
    np.testing.assert_allclose(found.values, [-5])


def test_labels_take_over_the_structure_of_their_row():
    pool = [material("a", halite(5.13), icsd=[111])]
    labels = make_labels(["LiCl", "Li2S"], [1e-8, 1e-6])
    coded = labels.labels[0].model_copy(update={"row_id": "111"})
    filled = with_structures(labels.model_copy(update={"labels": (coded, labels.labels[1])}), pool)
    assert [one.structure is not None for one in filled.labels] == [True, False]
    assert filled.labels[0].candidate_id == content_id(halite(5.13))


def test_labels_that_are_nowhere_are_refused():
    with pytest.raises(DataError, match="None of 1 labels is in the pool"):
        label_pool([material("a", halite(5.13))], [label("Li3N", 1e-3)])


def synthetic():
    """Four groups; the first feature set sees them, the second is noise."""
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(4), 50)
    seen = np.eye(4)[kind] * 9 + 0.1 * rng.normal(size=(200, 4))
    blind = rng.normal(size=(200, 4))
    rows = np.arange(0, 200, 4)
    values = -3.0 - 2 * kind[rows] + 0.1 * rng.normal(size=len(rows))
    features = {
        Representation("soap", "CAN"): Features(seen.astype(np.float32)),
        Representation("density", "CAN"): Features(blind.astype(np.float32)),
    }
    return features, rows, values, kind


def test_a_study_prefers_what_sees_the_groups():
    features, rows, values, _ = synthetic()
    found = study(features, rows, values, deepest=60, repeats=5)
    assert [str(entry.representation) for entry in found.entries] == ["soap-CAN", "density-CAN"]
    best, worst = found.entries
    assert found.mean(best.w) < 0.2 * found.mean(best.shuffled)
    assert found.mean(worst.w) == pytest.approx(found.mean(worst.shuffled), rel=0.2)
    every = np.arange(len(found.labels))
    choice = choose(found, [(every[every % 3 != k], every[every % 3 == k]) for k in range(3)])
    assert set(choice.picked) == {"soap-CAN"}
    assert choice.chosen == choice.best < 0.3 * choice.mean_of_training


def test_all_representations_of_a_study_take_the_same_rows():
    features, rows, values, _ = synthetic()
    broken = features[CAN].values.copy()
    broken[:8] = np.nan
    mostly = np.full_like(broken, np.nan)
    whole = {
        CAN: Features(broken),
        Representation("density", "CAN"): features[Representation("density", "CAN")],
        Representation("ewald", "A"): Features(mostly, dict.fromkeys(range(200), "no charges")),
    }
    found = study(whole, rows, values, deepest=20, repeats=2)
    assert (len(found.rows), len(found.labels)) == (192, 48)
    assert [len(entry.w) for entry in found.entries] == [19, 19, 0]
    assert (found.entries[-1].n_failed, found.entries[-1].first_problem) == (200, "no charges")


def test_activation_energies_are_measured_on_the_same_clusters():
    features, rows, values, kind = synthetic()
    everywhere = (np.arange(200), 0.2 + 0.1 * kind)
    found = study(features, rows, values, energies=everywhere, deepest=10, repeats=2)
    assert found.entries[0].w_energy[2] == pytest.approx(0, abs=1e-12)


def test_a_second_descriptor_has_the_share_of_variance_asked_for():
    features, *_ = synthetic()
    one, two = features.values()
    both = mixed(one, two, weight=0.2).values.var(axis=0)
    assert both[4:].sum() / both.sum() == pytest.approx(0.2, rel=1e-4)
    with pytest.raises(DataError, match="weight"):
        mixed(one, two, weight=1.0)


def test_enrichment_finds_the_cluster_with_the_conductors_and_says_it_is_no_chance():
    features, rows, values, _ = synthetic()
    tree = build_tree(features[CAN].values)
    (found,) = enrichment(tree, rows, values, depths=[4], threshold=-4, repeats=99)
    assert (found.share_of_rows, found.share_of_high, found.p_value) == (0.25, 1.0, 0.01)
    blind = build_tree(features[Representation("density", "CAN")].values)
    (chance,) = enrichment(blind, rows, values, depths=[4], threshold=-4, repeats=99)
    assert chance.p_value > 0.05


def test_half_of_the_conductors_lie_in_the_densest_clusters():
    names = np.repeat([0, 1, 2], [10, 30, 60])
    rows = np.array([0, 1, 20, 50])
    high = np.array([-3.0, -3.0, -3.0, -9.0])
    assert share_for_half(names, rows, high) == pytest.approx(0.1)


def test_the_shortlist_holds_clusters_with_conductors_and_their_nearest():
    """Groups on a line at 0, 1, 5, 9: the conductors lie at 0, so 1 is beside them."""
    where = np.repeat([0.0, 1.0, 5.0, 9.0], 10)[:, None].astype(np.float32)
    where += 0.01 * np.random.default_rng(0).normal(size=where.shape).astype(np.float32)
    found = shortlist(build_tree(where), where, np.array([3, 25]), np.array([-3.0, -9.0]), depth=4)
    assert found.rows.tolist() == list(range(20))
    assert found.reasons == ("holds",) * 10 + ("nearest",) * 10


def test_a_pool_without_labels_helps_and_is_remembered(two_kinds, tmp_path):
    cells, sigmas = two_kinds
    few = [0, 1, 2, 20, 21, 22]
    labels = make_labels([cells[k].composition.reduced_formula for k in few], sigmas[few])
    labels = labels.model_copy(
        update={
            "labels": tuple(
                one.model_copy(update={"structure": cells[k]})
                for one, k in zip(labels.labels, few, strict=True)
            )
        }
    )
    pool = [material(f"m{k}", cell) for k, cell in enumerate(cells) if k not in few]
    model = make_screener("clustering", {"deepest": 10}).fit(dataset_of(labels), pool=pool)
    scores = model.score(pool)
    assert (
        (scores.probability > 0.5) == (sigmas[[k for k in range(40) if k not in few]] > 1e-4)
    ).all()
    np.testing.assert_allclose(scores.details["log_sigma"][:3], -9)
    save_screener(model, tmp_path / "m.model")
    back = load_screener(tmp_path / "m.model").score(pool)
    np.testing.assert_array_equal(back.probability, scores.probability)


def test_a_second_descriptor_is_mixed_in_and_saved(two_kinds, toy_crystals, tmp_path):
    settings = {"representation": "soap-unperturbed", "second": "density-CAMN"}
    model = make_screener("clustering", settings).fit(toy_crystals)
    save_screener(model, tmp_path / "m.model")
    one = model.score(toy_crystals.materials)
    other = load_screener(tmp_path / "m.model").score(toy_crystals.materials)
    np.testing.assert_array_equal(one.probability, other.probability)
    assert one.distance[0] == 0


def test_a_crystal_that_was_clustered_is_looked_up(toy_crystals, monkeypatch):
    model = make_screener("clustering", {"representation": "soap-unperturbed"}).fit(toy_crystals)
    monkeypatch.setattr(module, "_compute", lambda *_: pytest.fail("computed again"))
    assert np.isfinite(model.score(toy_crystals.materials).probability).all()


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigurationError, match="second_weight"):
        make_screener("clustering", {"second_weight": 1.0})
    with pytest.raises(ConfigurationError, match="Unknown descriptor 'sope'"):
        make_screener("clustering", {"representation": "sope-CAN"})


@pytest.fixture(scope="module")
def files(two_kinds, tmp_path_factory):
    """A pool with ICSD codes and a table of labels without structures."""
    cells, sigmas = two_kinds
    folder = tmp_path_factory.mktemp("files")
    with (folder / "pool.jsonl").open("w") as pool, (folder / "labels.csv").open("w") as table:
        table.write("id,formula,sigma (S/cm)\n")
        for number, cell in enumerate(cells):
            record = {"structure": cell.as_dict(), "id": f"m{number}", "icsd": [1000 + number]}
            record |= {"band_gap": 3.0, "e_hull": 0.0, "bvse_ea": 0.5}
            pool.write(json.dumps(record, default=float) + "\n")
            if number % 2 == 0:
                formula = cell.composition.reduced_formula
                table.write(f"{1000 + number},{formula},{sigmas[number]}\n")
    return folder


def run(*arguments):
    return CliRunner().invoke(screen, [str(a) for a in arguments], catch_exceptions=False)


def test_descriptors_are_compared_from_the_command_line(files, tmp_path):
    out, figure = tmp_path / "t.csv", tmp_path / "t.svg"
    result = run(
        *("descriptors", files / "pool.jsonl", "--labels", files / "labels.csv", "--json"),
        *("--descriptors", "soap,density", "--simplifications", "CAN,A-40", "--deepest", 20),
        *("--out", out, "--figure", figure),
    )
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 4
    assert lines[0]["w_mean"] < lines[0]["w_shuffled"]
    assert len(out.read_text().splitlines()) == 5
    assert "Control" in figure.read_text()
    # Two frameworks make two groups: too few to choose honestly, and the table stands without.
    assert "no representation is chosen: 5 folds need 5 groups" in result.stderr
    plain = run(
        *("descriptors", files / "pool.jsonl", "--labels", files / "labels.csv", "--json"),
        *("--descriptors", "density", "--simplifications", "CAN", "--split", "random"),
    )
    assert "held-out labels" in plain.stderr


def test_a_shortlist_is_a_pool(files, tmp_path):
    out, figure = tmp_path / "s.jsonl", tmp_path / "tree.png"
    result = run(
        *("shortlist", files / "pool.jsonl", "--labels", files / "labels.csv", "--depth", 6),
        *("--preset", "laskowski2023", "--pool-out", out, "--figure", figure, "--json"),
    )
    assert result.exit_code == 0
    formulas = [json.loads(line)["formula"] for line in result.stdout.splitlines()]
    assert formulas.count("Li2S") == 20
    assert len(out.read_text().splitlines()) == len(formulas)
    assert figure.stat().st_size > 1000
    assert "hull energy: 20 -> 20" in result.stderr


def test_a_second_representation_is_mixed_in(files):
    asked = ("shortlist", files / "pool.jsonl", "--labels", files / "labels.csv", "--depth", 6)
    result = run(*asked, "--second", "density-unperturbed", "--second-weight", 0.3, "--json")
    assert {json.loads(line)["formula"] for line in result.stdout.splitlines()} == {"Li2S"}
    with pytest.raises(ConfigurationError, match="cannot be mixed into itself"):
        run(*asked, "--second", "soap-CAN")
    table = run(
        *("descriptors", files / "pool.jsonl", "--labels", files / "labels.csv", "--folds", 1),
        *("--descriptors", "density,soap", "--simplifications", "CAN,unperturbed", "--deepest", 6),
        *("--second", "density-unperturbed", "--json"),
    )
    assert "density-unperturbed is mixed in, with 5% of the variance" in table.stderr
    assert len(table.stdout.splitlines()) == 3


def test_a_model_is_trained_on_labels_that_take_their_structure_from_the_pool(files, tmp_path):
    model = tmp_path / "c.model"
    result = run(
        *("train", "--system", "clustering", "--labels", files / "labels.csv"),
        *("--keep-duplicates", "--pool", files / "pool.jsonl", "--out", model, "--json"),
    )
    assert result.exit_code == 0
    assert json.loads(result.stdout)["labels"] == 20
    ranked = run("rank", files / "pool.jsonl", "--model", model, "--top", 20, "--json")
    entries = [json.loads(line) for line in ranked.stdout.splitlines()]
    assert {entry["formula"] for entry in entries} == {"Li2S"}
    table, record = tmp_path / "more.csv", tmp_path / "e.json"
    table.write_text((files / "labels.csv").read_text() + "9,Li3N,1e-5\n")
    measured = run(
        *("evaluate", model, "--labels", table, "--pool", files / "pool.jsonl", "--out", record)
    )
    assert "1 labels have no structure and are left out: the measures are of 95%" in measured.stderr
    found = json.loads(record.read_text())
    assert found["n"] == 20
    assert found["record"]["coverage"] == pytest.approx(20 / 21, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--descriptors", "sope"), "Unknown descriptor 'sope'"),
        (("--simplifications", "CAB"), "Unknown simplification 'CAB'"),
        (("--figure", "x.bmp"), "A figure is .svg"),
    ],
)
def test_bad_input_is_answered_in_a_line(files, arguments, message):
    with pytest.raises((ConfigurationError, DataError), match=message):
        run("descriptors", files / "pool.jsonl", "--labels", files / "labels.csv", *arguments)
