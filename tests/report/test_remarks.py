"""What a run warns of reaches its reader, and bounds are drawn where they can be seen."""

from ssefw.analysis import fit_conductivity
from ssefw.documents import Estimate
from ssefw.report.figures.analysis import arrhenius_figure
from ssefw.report.rows import summary
from ssefw.report.wording import remarks_words
from tests.outcomes import diffusivity, outcome


def warned():
    return diffusivity(600.0).model_copy(
        update={"warnings": ("the mean temperature 799 K is off the set point 600 K",)}
    )


def test_the_page_says_what_a_run_warns_of():
    run = warned().model_copy(update={"reason": "few hops", "length_reason": "max_length"})
    assert remarks_words(run) == (
        "few hops; the mean temperature 799 K is off the set point 600 K; ended: max_length"
    )
    assert remarks_words(diffusivity(600.0)) == ""


def test_programs_are_told_too():
    item = outcome("Li2O", 1e-4).model_copy(update={"diffusivities": (warned(),)})
    (run,) = summary(item)["diffusivities"]
    assert run["warnings"] == list(warned().warnings)


def test_arrows_of_bounds_lie_within_the_axes_and_clear_of_the_note():
    bound = Estimate.below(1e-4, unit="cm^2/s", reason="no hop")
    fit = fit_conductivity([diffusivity(1200.0).model_copy(update={"tracer": bound})])
    (axes,) = arrhenius_figure(fit).axes
    hot, cold = fit.points[0].conductivity.upper, fit.conductivity.upper
    assert hot < cold  # one bound on D is the higher sigma in the cold
    assert axes.get_ylim()[0] < 0.45 * hot
    (note,) = axes.texts[-1:]
    assert note.get_va() == "top"
