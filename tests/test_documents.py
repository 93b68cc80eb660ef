"""Documents: closed, frozen, with a unit on every float, and the same after a round trip."""

import json
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monty.json import MontyDecoder, MontyEncoder, jsanitize
from pydantic import ValidationError
from pymatgen.core import DummySpecies, Lattice, Species, Structure

import ssefw.documents
import ssefw.engines
import ssefw.makers
from ssefw.documents import Document, Estimate, Segment, Trajectory
from ssefw.documents.base import crystal_record
from ssefw.units import Unit


def all_documents():
    kinds, found = [Document], []
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        found.append(kind)
    return sorted(found[1:], key=lambda kind: kind.__name__)


def bare_floats(annotation, *, has_unit=False):
    """Yield the floats in an annotation that carry no unit."""
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *metadata = typing.get_args(annotation)
        unit = has_unit or any(isinstance(item, Unit) for item in metadata)
        yield from bare_floats(inner, has_unit=unit)
    elif annotation is float:
        if not has_unit:
            yield annotation
    else:
        for part in typing.get_args(annotation):
            yield from bare_floats(part, has_unit=has_unit)


@pytest.mark.parametrize("kind", all_documents(), ids=lambda kind: kind.__name__)
def test_every_float_of_a_document_has_a_unit(kind):
    hints = typing.get_type_hints(kind, include_extras=True)
    for name, annotation in hints.items():
        if name in kind.model_fields:
            assert not list(bare_floats(annotation)), f"{kind.__name__}.{name} has no unit"


def test_stored_records_name_one_path_whatever_module_holds_the_class():
    for name in ssefw.documents.__all__:
        kind = getattr(ssefw.documents, name)
        if isinstance(kind, type):
            assert kind.__module__ == "ssefw.documents"
    estimate = Estimate(value=1.0, lower=0.5, upper=2.0, unit="eV")
    record = estimate.as_dict()
    assert (record["@module"], record["@class"]) == ("ssefw.documents", "Estimate")
    assert MontyDecoder().process_decoded(record) == estimate


@pytest.mark.parametrize("kind", all_documents(), ids=lambda kind: kind.__name__)
def test_documents_are_closed_and_frozen(kind):
    assert kind.model_config["extra"] == "forbid"
    assert kind.model_config["frozen"] is True


def ledger(li2o, **changes):
    segment = Segment(
        index=0,
        first_step=0,
        last_step=10,
        first_frame=0,
        n_frames=3,
        velocities="drawn",
        end_reason="complete",
        settings_hash="s",
        wall_time=1.5,
    )
    fields = {
        "key": "k",
        "candidate_id": "c",
        "temperature": 900.0,
        "timestep": 2.0,
        "steps_per_frame": 5,
        "equilibration_steps": 0,
        "target_steps": 10,
        "seed": 1,
        "thermostat": "nose-hoover",
        "structure": li2o,
        "segments": (segment,),
    }
    return Trajectory(**fields | changes)


@pytest.mark.parametrize(
    "store",
    [
        lambda d: jsanitize(d, strict=True, enum_values=True),
        lambda d: json.loads(json.dumps(d.as_dict())),
        lambda d: json.loads(json.dumps(d, cls=MontyEncoder)),
    ],
    ids=["jobflow", "as_dict", "monty"],
)
def test_a_document_is_the_same_after_storing(li2o, store):
    before = ledger(li2o)
    after = MontyDecoder().process_decoded(store(before))
    assert type(after) is Trajectory
    assert after == before
    assert after.structure == li2o


def crystals(li2o):
    cell = Lattice.from_parameters(4.1, 5.2, 6.3, 71.0, 82.0, 103.0)
    places = [[0.1, 1 / 3, 0.7], [0.55, -0.2, 1.4]]
    yield li2o
    yield Structure(cell, [{"Li": 0.3, "Na": 0.25}, "Cl"], places, labels=["mixed", "Cl7"])
    ions = [Species("Fe2+", spin=5), DummySpecies("X", -1)]
    moments = {"magmom": [1.5, None]}
    yield Structure(cell, ions, places, charge=1, site_properties=moments, properties={"a": (1, 2)})
    yield Structure(Lattice(cell.matrix, pbc=(True, True, False)), ["D", "O2-"], places)


def test_a_crystal_is_written_as_pymatgen_writes_it(li2o):
    for crystal in crystals(li2o):
        ours, theirs = crystal_record(crystal), crystal.as_dict()
        assert json.dumps(ours, cls=MontyEncoder) == json.dumps(theirs, cls=MontyEncoder)


def test_jobflow_may_ask_the_class_for_as_dict():
    assert not hasattr(Trajectory, "as_dict")


def test_a_ledger_with_a_gap_is_refused(li2o):
    first = ledger(li2o).segments[0]
    gap = first.model_copy(update={"index": 1, "first_step": 11, "first_frame": 3})
    with pytest.raises(ValidationError, match=r"starts at step 11, frame 3; .* step 10, frame 3"):
        ledger(li2o, segments=(first, gap))


def test_a_ledger_with_a_doubled_frame_is_refused(li2o):
    first = ledger(li2o).segments[0]
    doubled = first.model_copy(update={"index": 1, "first_step": 10, "first_frame": 2})
    with pytest.raises(ValidationError, match="frame 2"):
        ledger(li2o, segments=(first, doubled))


def test_an_unknown_field_is_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        Estimate(value=1.0, lower=0.0, upper=2.0, unit="eV", vaule=1.0)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "value", "value": 1.0},
        {"kind": "value", "value": 3.0, "lower": 0.0, "upper": 2.0},
        {"kind": "upper_bound", "value": 1.0, "upper": 2.0},
        {"kind": "upper_bound"},
        {"kind": "undetermined", "upper": 2.0},
        {"kind": "value", "value": 1.0, "lower": 0.0, "upper": 2.0, "level": 95.0},
    ],
)
def test_an_estimate_must_be_what_its_kind_says(fields):
    with pytest.raises(ValidationError):
        Estimate(unit="eV", **fields)


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_an_estimate_survives_json(value, down, up):
    before = Estimate(value=value, lower=value - down, upper=value + up, unit="eV")
    assert Estimate.model_validate_json(before.model_dump_json()) == before


def test_estimates_print_as_people_write_them():
    assert str(Estimate.below(1e-9, unit="S/cm", reason="no hop")) == "< 1e-09 S/cm"
    assert str(Estimate.undetermined("too short", unit="eV")) == "undetermined"
    assert str(Estimate(value=0.25, lower=0.2, upper=0.31, unit="eV")) == "0.25 [0.2, 0.31] eV"
