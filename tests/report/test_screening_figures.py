"""The figures of a screen say what is right, what is known and what is far."""

import numpy as np
import pytest

from ssefw.documents import Estimate, Label, RankedCandidate
from ssefw.errors import DataError
from ssefw.report.figures.screening import draw_conductivities, draw_pool


def label(sigma):
    return Label(
        candidate_id="c",
        formula="Li3PS4",
        conductivity=Estimate(value=sigma, lower=sigma, upper=sigma, unit="S/cm", method="x"),
        temperature=298.0,
        kind="experiment",
    )


def test_what_is_wrong_and_what_is_known_is_counted(tmp_path):
    labels = [label(s) for s in (1e-3, 1e-3, 1e-6, 1e-6)]
    path = tmp_path / "s.svg"
    draw_conductivities(
        np.array([0.9, 0.2, 0.1, 0.3]),
        labels,
        path,
        threshold=1e-4,
        spread=np.full(4, 0.2),
        similar=np.array([True, False, False, False]),
    )
    text = path.read_text()
    for line in ("right (2)", "wrong (1)", "right, composition known (1)"):
        assert line in text


def test_ordered_and_disordered_materials_are_told_apart(tmp_path):
    entries = [
        RankedCandidate(candidate_id=name, source=name, formula="LiF", score=0.1 * k, distance=0.5)
        for k, name in enumerate("abcd")
    ]
    path = tmp_path / "p.svg"
    draw_pool(entries, {"a": True, "b": False, "c": False}, path)
    text = path.read_text()
    for line in ("ordered (2)", "disordered (1)", "no structure (1)"):
        assert line in text


def test_a_figure_of_nothing_is_refused(tmp_path):
    with pytest.raises(DataError, match="empty"):
        draw_pool([], {}, tmp_path / "p.svg")
    with pytest.raises(DataError, match=r"\.svg, \.png or \.pdf"):
        draw_conductivities(np.array([0.5]), [label(1e-3)], tmp_path / "p.gif", threshold=1e-4)
