"""Which outcomes become labels, as what, and why the others do not."""

import pytest

from ssefw.data.compositions import parse_formula
from ssefw.data.labels.outcomes import kind_of, label_from_barrier, label_from_outcome
from ssefw.documents import (
    Barrier,
    Candidate,
    Estimate,
    HopRecord,
    NebPath,
    Provenance,
)
from ssefw.errors import DataError
from tests.outcomes import bound, outcome, relaxation, value


def test_a_determined_outcome_keeps_value_interval_and_level_of_theory():
    label = label_from_outcome(outcome("Li6PS5Cl", 2e-3, engine="vasp-xrdmatch"))
    assert label.conductivity == value(2e-3)
    assert (label.kind, label.level_of_theory) == ("aimd", "vasp-xrdmatch")
    assert (label.temperature, label.quantity) == (300.0, "bulk")


def test_a_bound_becomes_a_censored_label():
    label = label_from_outcome(outcome("Li2O", bound(1e-9)))
    assert label.conductivity.kind == "upper_bound"
    assert label.conductivity.upper == 1e-9
    assert label.kind == "mlip"


@pytest.mark.parametrize("status", ["rejected", "failed", "undetermined"])
def test_what_was_not_measured_is_no_negative(status):
    with pytest.raises(DataError, match=f"{status}: the volume.*no statement"):
        label_from_outcome(outcome("Li2O", status=status, reason="the volume doubled"))


def test_another_unit_is_refused():
    with pytest.raises(DataError, match="'mS/cm'; labels are in S/cm"):
        label_from_outcome(outcome("Li2O", value(2.0, unit="mS/cm")))


def test_a_number_that_no_solid_has_is_refused():
    with pytest.raises(DataError, match="check its unit"):
        label_from_outcome(outcome("Li2O", 2000.0))


def test_another_ion_is_refused():
    with pytest.raises(DataError, match="that of Na"):
        label_from_outcome(outcome("Na3PS4", 1e-3, specie="Na"))


def test_another_temperature_is_refused():
    with pytest.raises(DataError, match="at 600 K"):
        label_from_outcome(outcome("Li2O", 1e-3, temperature=600.0))


@pytest.mark.parametrize("melted", [(500.0,), (600.0,), (700.0,), (900.0,), (800.0, 1200.0)])
def test_a_melt_within_what_was_fitted_is_refused(melted):
    """The fit rests on 600, 750 and 900 K; what melts at 500 K is no solid at 600 K."""
    with pytest.raises(DataError, match=f"melted at {min(melted):g} K, which the fit reaches"):
        label_from_outcome(outcome("Li2O", 1e-3, melted=melted))


@pytest.mark.parametrize("melted", [(950.0,), (1200.0,), (1000.0, 1200.0)])
def test_a_melt_above_all_that_was_fitted_does_not_matter(melted):
    """Runs that were fitted were solid, and so is the crystal at 300 K."""
    label = label_from_outcome(outcome("Li2O", 1e-3, melted=melted))
    assert label.conductivity == value(1e-3)


def test_a_melt_without_a_fitted_temperature_is_refused():
    with pytest.raises(DataError, match="conductivity is that of a liquid"):
        label_from_outcome(outcome("Li2O", 1e-3, melted=(1200.0,), used=()))


@pytest.mark.parametrize(
    ("engine", "kind"), [("vasp-xrdmatch", "aimd"), ("espresso", "aimd"), ("MACE-mp0", "mlip")]
)
def test_the_engine_tells_the_kind(engine, kind):
    assert kind_of(engine) == kind


@pytest.mark.parametrize(
    ("engine", "methods", "message"),
    [
        ("EMT", {}, "no known level of theory"),
        ("", {}, "No engine is on record"),
        ("EMT", {"EMT": "dft"}, "tagged 'dft'"),
        ("vasp-xrdmatch", {"vasp-xrdmatch": "mlip"}, "vasp makes labels of kind 'aimd'"),
        ("EMT", {"EMT": "experiment"}, "tagged 'experiment'"),
    ],
)
def test_a_wrong_method_tag_is_refused(engine, methods, message):
    with pytest.raises(DataError, match=message):
        kind_of(engine, methods=methods)


def test_a_method_may_be_declared():
    label = label_from_outcome(outcome("Li2O", 1e-3, engine="MyNet-1"), methods={"MyNet-1": "mlip"})
    assert label.kind == "mlip"


def barrier(energy, *, method="neb"):
    estimate = Estimate(value=energy, lower=energy - 0.02, upper=energy + 0.02, unit="eV")
    return Barrier(
        formula="Li2O",
        specie="Li",
        method=method,
        barrier_1d=estimate,
        barrier_2d=estimate,
        barrier_3d=estimate,
        provenance=Provenance(engine="vasp-neb"),
    )


def test_a_barrier_of_a_quarter_volt_conducts_as_hops_over_it_do(li2o):
    """sigma = n q^2 a^2 nu exp(-E/kT) / 6kT, by hand in SI."""
    candidate = Candidate(id="c", formula="Li2O", structure=li2o)
    label = label_from_barrier(barrier(0.25), candidate, hop_length=2.31)
    assert parse_formula(label.formula) == parse_formula("Li2O")
    n, q, kt = 8 / (4.619e-10**3), 1.602176634e-19, 1.380649e-23 * 300
    expected = n * q**2 * 2.31e-10**2 * 1e13 / 6 / kt * 2.718281828 ** (-0.25 * q / kt) / 100
    assert label.kind == "neb"
    assert label.conductivity.value == pytest.approx(expected, rel=1e-4)
    assert label.conductivity.upper > 10 * label.conductivity.value


def test_an_outcome_with_bands_alone_is_a_label_of_kind_neb(li2o):
    hop = HopRecord(start=0, end=1, image=(0, 0, 0), length=2.31, symmetric=True, n_equivalent=1)
    band = NebPath(
        energies=(0.0, 0.25, 0.0),
        lengths=(0.0, 1.0, 2.0),
        max_forces=(0.0, 0.0, 0.0),
        status="converged",
        climbed=True,
        forward=0.25,
        hop=hop,
    )
    relaxed = relaxation(li2o)
    found = outcome("Li2O", status="determined", engine="espresso").model_copy(
        update={
            "barrier": barrier(0.25).model_copy(update={"bands": (band,)}),
            "relaxed": relaxed,
        }
    )
    label = label_from_outcome(found)
    assert (label.kind, label.row_id) == ("neb", "x/id-Li2O")
    candidate = Candidate(id="c", formula="Li2O", structure=li2o)
    plain = label_from_barrier(barrier(0.25), candidate, hop_length=2.31)
    assert label.conductivity == plain.conductivity
    with pytest.raises(DataError, match="length of a hop"):
        label_from_outcome(found.model_copy(update={"relaxed": None}))


def test_a_bond_valence_barrier_makes_no_label(li2o):
    candidate = Candidate(id="c", formula="Li2O", structure=li2o)
    with pytest.raises(DataError, match="'bvse'"):
        label_from_barrier(barrier(0.2, method="bvse"), candidate, hop_length=2.3)
