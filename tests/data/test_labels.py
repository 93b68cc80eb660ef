"""Labels keep what was reported; a set has one version whatever its order."""

import json
import zipfile

import numpy as np
import pytest

from ssefw.data.compositions import parse_formula
from ssefw.data.dataset import dataset_of
from ssefw.data.labels.sets import (
    chance_above,
    class_of,
    classes,
    label_statistics,
    load_label_set,
    log_conductivities,
    merge_labels,
    save_label_set,
)
from ssefw.data.labels.sources import extrapolate_labels, find_label_set, starter_labels
from ssefw.data.labels.tables import (
    assign_clusters,
    conductivity_of,
    read_label_table,
    write_label_table,
)
from ssefw.documents import Estimate
from ssefw.errors import DataError, MissingDependencyError
from ssefw.units import BOLTZMANN_EV_PER_K

OBELIX = (
    "ID,Reduced Composition,Z,True Composition,Ionic conductivity (S cm-1),IC (Total),IC (Bulk),"
    "Space group,Space group #,a,b,c,alpha,beta,gamma,Family,DOI\n"
    "aa1,Li3N,1,Li3N1,5.8e-4,,,P6/mmm,191,3.648,3.648,3.875,90,90,120,nitrides,10.1/x\n"
    "aa2,LiScO2,4,Li4Sc4O8,<1E-10,,,I41/amd,141,4.179,4.179,9.361,90,90,90,oxides,10.1/y\n"
    "aa3,Li6PS5Cl,4,Li24P4S20Cl4,1.3e-3,1.3e-3,2e-3,F-43m,216,9.84,9.84,9.84,90,90,90,,10.1/z\n"
)


@pytest.fixture
def obelix(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(OBELIX)
    return path


def plain(tmp_path, text):
    path = tmp_path / "plain.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("1.2e-4", "S/cm", 1.2e-4),
        ("0.12", "mS/cm", 1.2e-4),
        ("0.012", "S/m", 1.2e-4),
        ("-4", "log10(S/cm)", 1e-4),
        ("1.2x10^-4", "S cm-1", 1.2e-4),
        ("1.2\N{MULTIPLICATION SIGN}10^\N{MINUS SIGN}4", "S/cm", 1.2e-4),
    ],
)
def test_units_and_spellings_come_to_siemens_per_centimeter(text, unit, value):
    assert conductivity_of(text, unit=unit).value == pytest.approx(value)


def test_a_censored_value_stays_a_bound():
    bound = conductivity_of("< 1E-10")
    assert (bound.kind, bound.upper) == ("upper_bound", 1e-10)
    assert conductivity_of(">1e-3").kind == "lower_bound"


@pytest.mark.parametrize("text", ["", "abc", "-3e-4", "0", "120", "nan", "1.2.3"])
def test_a_cell_that_is_no_conductivity_is_refused(text):
    with pytest.raises(DataError):
        conductivity_of(text)


def test_an_unknown_unit_is_refused():
    with pytest.raises(DataError, match="Unknown unit"):
        conductivity_of("1", unit="ohm")


def test_classes_follow_values_and_bounds():
    below = Estimate.below(1e-10, unit="S/cm", reason="")
    open_bound = Estimate.below(1e-2, unit="S/cm", reason="")
    above = Estimate.above(1e-3, unit="S/cm", reason="")
    sigma = Estimate(value=1e-4, lower=1e-4, upper=1e-4, unit="S/cm")
    assert [class_of(x) for x in (below, open_bound, above, sigma)] == [0, -1, 1, 1]


def test_obelix_reads_with_cells_quantities_and_bounds(obelix):
    labels = read_label_table(obelix).labels
    assert [label.formula for label in labels] == ["Li3N", "LiScO2", "Li6PS5Cl"]
    assert labels[1].conductivity.kind == "upper_bound"
    assert labels[2].quantity == "total"
    assert labels[0].cell.volume == pytest.approx(3.648**2 * 3.875 * np.sqrt(3) / 2)
    assert [label.cell.formula_units for label in labels] == [1, 4, 4]
    assert classes(labels).tolist() == [1, 0, 1]


def test_the_censoring_convention_is_the_callers(obelix):
    labels = read_label_table(obelix).labels
    assert log_conductivities(labels)[1] == pytest.approx(-10)
    assert log_conductivities(labels, censored=1e-15)[1] == pytest.approx(-15)


def test_structures_of_a_zip_go_to_the_rows_they_are_named_after(obelix, tmp_path, lif):
    archive = tmp_path / "cifs.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("cifs/aa1.cif", lif.to(fmt="cif"))
        file.writestr("cifs/aa2.cif", "this is no CIF")
    found = read_label_table(obelix, structures=archive)
    assert [label.structure is not None for label in found.labels] == [True, False, False]
    assert [source for source, _ in found.rejects] == ["cifs/aa2.cif"]


def test_mchaffie_rows_remember_the_lowest_temperature(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(
        "compound,icsd_collectioncode,conductivity_doi,conductivity_siemens_per_cm,"
        "lowest_extrapolation_temperature_K\nLi2TeO4,1485,10.1/x,3.79E-16,580\nLi3N,2,10.1/y,5e-4,na\n"
    )
    labels = read_label_table(path).labels
    assert [label.lowest_temperature for label in labels] == [580, None]


def test_a_table_without_header_is_the_laskowski_list(tmp_path):
    path = tmp_path / "l.csv"
    path.write_text("\ufeffLiAlSi3O8,1.30E-10,2,81980\nLi7P3S11,1.7E-02,2,157654\n")
    labels = read_label_table(path).labels
    assert [(x.formula, x.row_id) for x in labels] == [
        ("LiAlSi3O8", "81980"),
        ("Li7P3S11", "157654"),
    ]


def test_liverpool_temperatures_are_celsius(tmp_path):
    path = tmp_path / "liv.csv"
    path.write_text("ID,composition,source,temperature,target,family\n1,Li3N,10.1/x,25,5e-4,n\n")
    assert read_label_table(path).labels[0].temperature == pytest.approx(298.15)


def test_a_plain_table_says_units_in_its_header(tmp_path):
    path = plain(tmp_path, "formula,sigma (mS/cm),T (C),doi\nLi3N,0.58,25,10.1/x\n")
    label = read_label_table(path).labels[0]
    assert label.conductivity.value == pytest.approx(5.8e-4)
    assert label.temperature == pytest.approx(298.15)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("formula,sigma\nLi3N,1e-4\n", "does not say its unit"),
        ("formula,sigma (S/cm),T\nLi3N,1e-4,300\n", "does not say its unit"),
        ("formula,sigma (S/cm),T (K)\nLi3N,1e-4,25\n", "kelvin or degrees"),
        ("formula,sigma (S/cm)\nNa3N,1e-4\n", "no lithium"),
        ("name,value\nLi3N,1e-4\n", "of no known table"),
        ("", "is empty"),
        ("id,formula,sigma (S/cm)\na,Li3N,1e-4\na,Li2S,1e-9\n", "stands twice"),
        ("formula,sigma (S/cm),quantity\nLi3N,1e-4,grainy\n", "quantity"),
    ],
)
def test_a_table_that_leaves_doubt_is_refused(tmp_path, text, reason):
    with pytest.raises(DataError, match=reason):
        read_label_table(plain(tmp_path, text))


def test_official_clusters_are_joined_by_id(tmp_path):
    labels = read_label_table(
        plain(tmp_path, "id,formula,sigma (S/cm)\n7,Li3N,5e-4\n8,Li2S,1e-9\n")
    )
    table = tmp_path / "val.csv"
    table.write_text("compound,icsd_collectioncode,cluster\nLi3N,7,3\n")
    found = assign_clusters(labels, [table])
    assert [label.group for label in found.labels] == ["3", ""]
    table.write_text("icsd_collectioncode,cluster\n99,3\n")
    with pytest.raises(DataError, match="None of the 2 labels"):
        assign_clusters(labels, [table])


def test_a_quoted_cell_may_hold_line_breaks(tmp_path):
    path = plain(tmp_path, 'formula,note,sigma (S/cm)\nLi3N,"two\nlines",5e-4\nLi2S,,1e-9\n')
    assert len(read_label_table(path).labels) == 2


def test_a_bad_row_is_listed_and_the_others_stay(tmp_path):
    path = plain(tmp_path, "formula,sigma (S/cm)\nLi3N,5e-4\nLi2S + P,1e-4\n")
    found = read_label_table(path)
    assert len(found.labels) == 1
    assert found.rejects[0][0] == "plain.csv:3"


def test_duplicates_merge_to_the_median_with_their_range(tmp_path):
    path = plain(
        tmp_path, "formula,sigma (S/cm)\nLi3N,1e-4\nLi6N2,1e-3\nLi3N,1e-5\nLi3N,<1e-2\nLi2S,1e-9\n"
    )
    merged = merge_labels(read_label_table(path).labels)
    assert len(merged) == 2
    sigma = merged[0].conductivity
    assert (sigma.lower, sigma.value, sigma.upper) == pytest.approx((1e-5, 1e-4, 1e-3))
    assert merged[0].n_reports == 4


def test_bulk_and_total_are_not_merged(tmp_path):
    path = plain(tmp_path, "formula,sigma (S/cm),quantity\nLi3N,1e-4,bulk\nLi3N,1e-5,total\n")
    assert len(merge_labels(read_label_table(path).labels)) == 2


def test_extrapolation_recovers_a_known_activation_energy(tmp_path):
    kelvin = np.array([400.0, 450.0, 500.0, 600.0])
    sigma = 5e3 / kelvin * np.exp(-0.4 / (BOLTZMANN_EV_PER_K * kelvin))
    rows = "".join(f"Li4SiO4,{s},{t}\n" for s, t in zip(sigma, kelvin, strict=True))
    path = plain(tmp_path, "formula,sigma (S/cm),T (K)\n" + rows)
    (label,), _ = extrapolate_labels(read_label_table(path).labels, temperature=298.15)
    expected = 5e3 / 298.15 * np.exp(-0.4 / (BOLTZMANN_EV_PER_K * 298.15))
    assert label.conductivity.value == pytest.approx(expected, rel=1e-6)
    assert label.lowest_temperature == 400


def test_the_extrapolation_interval_covers_the_truth(tmp_path):
    rng = np.random.default_rng(0)
    kelvin = np.array([400.0, 450.0, 500.0, 550.0, 600.0])
    truth = 5e3 / 298.15 * np.exp(-0.4 / (BOLTZMANN_EV_PER_K * 298.15))
    # A prediction interval holds a new measurement, noise included.
    held = 0
    for _ in range(200):
        noise = np.exp(rng.normal(0, 0.2, len(kelvin)))
        sigma = 5e3 / kelvin * np.exp(-0.4 / (BOLTZMANN_EV_PER_K * kelvin)) * noise
        rows = "".join(f"Li4SiO4,{s},{t}\n" for s, t in zip(sigma, kelvin, strict=True))
        path = plain(tmp_path, "formula,sigma (S/cm),T (K)\n" + rows)
        (label,), _ = extrapolate_labels(read_label_table(path).labels, temperature=298.15)
        measured = truth * float(np.exp(rng.normal(0, 0.2)))
        held += label.conductivity.lower <= measured <= label.conductivity.upper
    assert 0.90 <= held / 200 <= 0.99


def test_two_temperatures_are_too_few_to_extrapolate(tmp_path):
    path = plain(
        tmp_path, "formula,sigma (S/cm),T (K)\nLi3N,1e-4,500\nLi3N,1e-3,600\nLi3P,7e-4,298\n"
    )
    found, rejects = extrapolate_labels(read_label_table(path).labels)
    assert [label.formula for label in found] == ["Li3P"]
    assert rejects[0][0] == "plain.csv:2"
    assert "three temperatures" in rejects[0][1]


def test_a_saved_set_comes_back_with_its_structures(tmp_path):
    labels = starter_labels()
    path = tmp_path / "labels.json.gz"
    save_label_set(labels, path)
    back = load_label_set(path)
    assert back.version == labels.version
    assert label_statistics(back) == label_statistics(labels)


def test_a_set_changed_by_hand_is_refused(tmp_path):
    path = tmp_path / "labels.json"
    save_label_set(starter_labels(), path)
    record = json.loads(path.read_text())
    record["labels"][0]["formula"] = "Li2S"
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match="changed after"):
        load_label_set(path)


def test_what_is_no_set_is_refused(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text('{"labels": 3}')
    with pytest.raises(DataError, match="no label set"):
        load_label_set(path)


def test_the_version_does_not_depend_on_the_order():
    labels = starter_labels()
    turned = labels.model_copy(update={"labels": labels.labels[::-1]})
    assert turned.version == labels.version
    assert labels.model_copy(update={"labels": labels.labels[1:]}).version != labels.version


def test_an_exported_table_reads_back(tmp_path):
    labels = starter_labels()
    path = tmp_path / "starter.csv"
    write_label_table(labels, path)
    back = read_label_table(path)
    assert [x.formula for x in back.labels] == [x.formula for x in labels.labels]
    assert np.allclose(log_conductivities(back.labels), log_conductivities(labels.labels))


def test_every_starter_label_has_a_reference_and_both_classes_are_there():
    labels = starter_labels()
    assert all(label.reference.startswith("10.") for label in labels.labels)
    assert min(np.bincount(classes(labels.labels))) >= 15


def test_starter_structures_have_the_stated_composition_and_sensible_distances():
    for label in starter_labels().labels:
        if label.structure is None:
            continue
        ratio = label.structure.composition.num_atoms / label.cell.formula_units
        own = parse_formula(label.formula).num_atoms
        assert ratio == pytest.approx(own, rel=0.01), label.formula
        if label.structure.is_ordered:
            assert label.structure.is_valid(tol=1.4), label.formula


def test_an_unknown_set_names_those_that_exist():
    with pytest.raises(DataError, match="obelix, starter"):
        find_label_set("obelisk")


def test_the_optional_package_is_asked_for_by_name():
    with pytest.raises(MissingDependencyError, match="pip install obelix-data"):
        find_label_set("obelix")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("Li3N,1e-3\nLi6PS5Cl,1e-3\nLi7P3S11,1e-3\nLi3P,1e-3\n", "are superionic"),
        ("Li3N,1e-9\nLi6PS5Cl,1e-9\nLi7P3S11,1e-9\nLi3P,1e-9\n", "are not superionic"),
        ("Li3N,1e-3\nLi2S,1e-9\nLi2O,1e-9\n", "at least 4"),
    ],
)
def test_labels_that_cannot_teach_anything_are_refused(tmp_path, rows, reason):
    path = plain(tmp_path, "formula,sigma (S/cm)\n" + rows)
    with pytest.raises(DataError, match=reason):
        dataset_of(read_label_table(path))


def test_the_chance_to_be_above_is_half_at_the_threshold():
    sigma = Estimate(value=1e-4, lower=1e-5, upper=1e-3, unit="S/cm")
    assert chance_above(sigma, threshold=1e-4, doubt=0.5) == pytest.approx(0.5)


def test_the_chance_to_be_above_follows_the_interval():
    """Two decades above with a 95 % interval of one decade up and down is 3.92 sigma away."""
    sigma = Estimate(value=1e-2, lower=1e-3, upper=1e-1, unit="S/cm")
    chance = chance_above(sigma, threshold=1e-4, doubt=1e-9)
    assert chance == pytest.approx(0.99995574, abs=1e-6)


def test_a_bound_far_below_leaves_what_its_level_leaves():
    far = Estimate.below(1e-12, unit="S/cm", reason="")
    assert chance_above(far, threshold=1e-4, doubt=0.5) == pytest.approx(0.05)
    near = Estimate.below(1e-4, unit="S/cm", reason="")
    assert chance_above(near, threshold=1e-4, doubt=0.5) == pytest.approx(0.525)
    undecided = Estimate.below(1e-2, unit="S/cm", reason="")
    assert chance_above(undecided, threshold=1e-4, doubt=0.5) is None


GOOD = "Li3N,5.8e-4\n"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("Li3(PO4,1e-4", "do not balance"),
        ("Li3[PO4),1e-4", "do not balance"),
        ("Li3)PO4(,1e-4", "do not balance"),
        ("Li3\0N,1e-4", "column 'formula': a text holds the control character"),
        ("Li3N,1e-4,x", "3 cells under 2 columns"),
        ('"Li3N",1e-4"x', "no conductivity"),
        ('"Li3N"x,1e-4', "no row of a table"),
        ("Li3N,1e-" + "9" * 50, "not possible"),
        ("Li3N,1e999", "not possible"),
        ("Li3N,nan", "no conductivity"),
        ("Li" + "9" * 30 + "N,1e-4", "a number that no formula has"),
        ("Li" * 1000 + ",1e-4", "A formula of 2000 characters"),
        ("(" * 200 + "Li" + ")" * 200 + ",1e-4", ""),
        (",", "no conductivity"),
    ],
)
def test_a_row_that_is_no_label_is_named_and_the_rest_is_read(tmp_path, row, words):
    labels = read_label_table(plain(tmp_path, f"formula,sigma (S/cm)\n{row}\n{GOOD}"))
    assert "Li3N" in [label.formula for label in labels.labels]
    if words:
        ((source, reason),) = labels.rejects
        assert source == "plain.csv:2"
        assert words in reason


def test_a_quote_that_never_closes_names_the_rows_it_took(tmp_path):
    labels = read_label_table(plain(tmp_path, f'formula,sigma (S/cm)\n{GOOD}"Li3P,1\nLi2S,2\n'))
    ((source, reason),) = labels.rejects
    assert source == "plain.csv:3"
    assert "lines 3 to 4" in reason


def test_every_row_is_a_label_or_a_reject(tmp_path):
    rows = [GOOD.strip(), "Qq2,1", "Li2S,-1", "Li2S", "Li3P,2e-6", "NaCl,1e-9"]
    labels = read_label_table(plain(tmp_path, "\n".join(["formula,sigma (S/cm)", *rows])))
    assert len(labels.labels) + len(labels.rejects) == len(rows)


def test_names_that_a_spreadsheet_would_run_survive_the_way_out_and_in(tmp_path):
    text = "formula,sigma (S/cm),id,group\nLi3N,5.8e-4,'=cmd|x,'@SUM(1)\nLi2S,1e-6,-a,+b\n"
    labels = read_label_table(plain(tmp_path, text))
    assert [(label.row_id, label.group) for label in labels.labels] == [
        ("=cmd|x", "@SUM(1)"),
        ("-a", "+b"),
    ]
    write_label_table(labels, tmp_path / "out.csv")
    out = (tmp_path / "out.csv").read_text()
    assert "'=cmd|x" in out
    assert "'-a" in out
    again = read_label_table(tmp_path / "out.csv")
    assert [(label.row_id, label.group) for label in again.labels] == [
        (label.row_id, label.group) for label in labels.labels
    ]


def test_cifs_of_labels_that_are_none_are_named(tmp_path, obelix, lif):
    with zipfile.ZipFile(tmp_path / "cifs.zip", "w") as archive:
        archive.writestr("aa1.cif", lif.to(fmt="cif"))
        archive.writestr("aa2.cif", b"\xff\xfe\x00")
    labels = read_label_table(obelix, structures=tmp_path / "cifs.zip")
    assert [source for source, _ in labels.rejects] == ["aa2.cif"]


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"version": ' + b"9" * 5000, b"\xff", b"[]"])
def test_a_set_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "set.json").write_bytes(content)
    with pytest.raises(DataError, match=r"set\.json is no label set"):
        load_label_set(tmp_path / "set.json")


def test_a_set_imports_no_module(tmp_path):
    record = {"version": "x", "labels": [{"structure": {"@module": "this", "@class": "X"}}]}
    (tmp_path / "set.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"asks for this\.X"):
        load_label_set(tmp_path / "set.json")
