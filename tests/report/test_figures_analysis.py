"""Figures of an analysis show what there is, and no more."""

import numpy as np
import pytest

from ssefw.analysis import DensityMap, VanHove, fit_conductivity, pool_conductivities
from ssefw.documents import Estimate
from ssefw.report.figures.analysis import (
    arrhenius_figure,
    density_figure,
    msd_figure,
    van_hove_figure,
)
from ssefw.report.style import save_figure
from tests import outcomes


def diffusivity(temperature, tracer, **changes):
    times = tuple(np.geomspace(0.1, 50, 40))
    curves = {
        "fit_window": (2.0, 8.0),
        "lag_times": times,
        "msd": tuple(0.3 + 0.6 * t for t in times),
        "msd_framework": (0.2,) * 40,
    }
    return outcomes.diffusivity(temperature, tracer, **(curves | changes))


def value(at):
    return Estimate(value=at, lower=0.8 * at, upper=1.25 * at, unit="cm^2/s")


BOUND = Estimate.below(1e-7, unit="cm^2/s", reason="no hop")
NOTHING = Estimate.undetermined("the framework left its sites", unit="cm^2/s")


def text_of(figure):
    found = [artist.get_text() for artist in figure.findobj(lambda a: hasattr(a, "get_text"))]
    return " ".join(found)


def test_the_msd_shows_fit_window_and_band():
    text = text_of(msd_figure(diffusivity(900, value(1e-5))))
    assert "fit window" in text
    assert "95% interval" in text
    assert "1.00 [0.80, 1.25]" in text


def test_a_bound_shows_no_slope():
    text = text_of(msd_figure(diffusivity(900, BOUND, regime="vibrating")))
    assert "D < 1.00" in text
    assert "6Dt" not in text


def test_a_melt_says_so():
    text = text_of(msd_figure(diffusivity(900, NOTHING, regime="melted", fit_window=None)))
    assert "melted, no diffusivity" in text


@pytest.mark.parametrize(
    ("points", "note"),
    [
        ([(600, value(1e-6)), (900, value(1e-5)), (1200, value(3e-5))], "eV"),
        ([(500, BOUND), (900, value(1e-5)), (1200, value(3e-5)), (1500, NOTHING)], "eV"),
        ([(900, value(1e-5))], "300 K) <"),
        ([(900, NOTHING)], "undetermined"),
    ],
    ids=["values", "bounds and a melt", "one temperature", "nothing"],
)
def test_every_kind_of_fit_is_drawn(points, note, tmp_path):
    figure = arrhenius_figure(fit_conductivity([diffusivity(t, e) for t, e in points]))
    assert note in text_of(figure).replace("$", "")
    for path in save_figure(figure, tmp_path / "arrhenius"):
        assert path.stat().st_size > 1000


def test_the_band_of_an_arrangement_lies_within_the_interval_of_the_crystal():
    """The points of the crystal hold the spread between arrangements; a line through them would not
    know that it is one and the same at each temperature."""
    fit = fit_conductivity([diffusivity(t, value(e)) for t, e in [(750, 4e-6), (900, 1e-5)]])
    pooled, _ = pool_conductivities([fit])
    (axes, *_) = arrhenius_figure(pooled, [fit]).axes
    (band,) = axes.collections[:1]
    ends = band.get_paths()[0].vertices
    cold = ends[np.isclose(ends[:, 0], 1000 / 300)][:, 1]
    target = pooled.conductivity
    assert target.lower < cold.min() < fit.conductivity.value < cold.max() < target.upper


def test_van_hove_maps_span_their_grid():
    grid = np.ones((5, 8))
    result = VanHove(np.arange(5) * 2.0, np.arange(8) + 0.5, grid, 5.0 * grid, (10, 10))
    axes = van_hove_figure(result, specie="Li").axes
    assert axes[0].get_xlim() == (0.0, 8.0)
    assert axes[0].get_ylim() == (0.0, 8.0)


def test_slices_of_a_skew_cell_keep_its_shape():
    density = np.zeros((10, 12, 14))
    density[3, 4, 5] = 1.0
    lattice = np.array([[5.0, 0, 0], [2.5, 6.0, 0], [0, 1.0, 7.0]])
    framework = (("S", "P"), np.array([[0.1, 0.2, 0.38], [0.35, 0.6, 0.7]]))
    figure = density_figure(DensityMap(density, lattice, "Li", framework))
    panel = figure.axes[0]
    assert panel.get_aspect() == 1.0
    assert panel.get_xlim()[1] == pytest.approx(7.5, abs=0.01)
    assert "plane at c = 0.39" in panel.get_title()
