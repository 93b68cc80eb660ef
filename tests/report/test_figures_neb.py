"""The figures of bands show what the records say."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.documents import Barrier, Estimate
from ssefw.engines.band import band_document, linear_images
from ssefw.errors import AnalysisError
from ssefw.report.figures.neb import band_figure, barriers_svg
from ssefw.report.style import save_figure


def band(*, climbed=True, status="converged", structures=True):
    lattice = Lattice.cubic(8.0)
    rest = [[4, 4, 4], [6, 2, 7]]
    ends = [
        Structure(lattice, ["Li", "S", "Li"], [[x, 7.9, 2], *rest], coords_are_cartesian=True)
        for x in (1, 3)
    ]
    return band_document(
        structures=linear_images(*ends, n_images=5) if structures else [],
        energies=[-5.0, -4.9, -4.6, -4.9, -5.0],
        lengths=np.linspace(0, 2, 5),
        forces=[0.0] * 5,
        status=status,
        climbed=climbed,
        reason="" if status == "converged" else "it was stopped",
    )


def test_the_figure_names_both_barriers_and_is_written(tmp_path):
    figure = band_figure(band())
    assert figure.axes[0].get_title() == "0.400 eV forward, 0.400 eV back"
    assert len(figure.axes) == 2
    for path in save_figure(figure, tmp_path / "band"):
        assert path.stat().st_size > 10_000


def test_the_spline_is_level_at_its_ends_and_meets_the_images():
    (energies, *_) = band_figure(band(climbed=False)).axes
    spline, images = energies.lines[:2]
    x, y = spline.get_data()
    assert np.interp(images.get_xdata(), x, y) == pytest.approx(images.get_ydata(), abs=1e-3)
    assert abs(y[1] - y[0]) < 1e-4
    assert abs(y[-1] - y[-2]) < 1e-4


def test_the_ion_that_is_pushed_has_a_way_of_its_own():
    alone = band()
    ends = [alone.structures[0], alone.structures[-1].copy()]
    ends[1].translate_sites([2], [0.25, 0, 0])
    images = linear_images(*ends, n_images=5)
    both = alone.model_copy(update={"structures": tuple(images), "mover": 0})

    def ways(figure):
        _, labels = figure.axes[1].get_legend_handles_labels()
        return [label for label in labels if label.startswith("way")]

    assert ways(band_figure(both)) == ["way of Li", "way of pushed Li"]
    assert ways(band_figure(alone)) == ["way of Li"]


def test_a_band_without_structures_is_drawn_without_a_cell():
    assert len(band_figure(band(structures=False)).axes) == 1


def test_a_band_without_a_barrier_says_so():
    figure = band_figure(band(status="interrupted", climbed=False))
    assert figure.axes[0].get_title() == "interrupted: no barrier"


def test_a_hop_that_came_to_no_band_is_not_drawn():
    empty = band_document(
        structures=[], energies=[], lengths=[], forces=[], status="failed", climbed=False,
        reason="the end fell back",
    )  # fmt: skip
    with pytest.raises(AnalysisError, match="the end fell back"):
        band_figure(empty)
    none = Estimate.undetermined("no band", unit="eV")
    barrier = Barrier(
        formula="X", specie="Li", method="neb", barrier_1d=none, barrier_2d=none, barrier_3d=none,
        bands=(empty, band(structures=False)),
    )  # fmt: skip
    assert barriers_svg(barrier).startswith("<svg")
