"""From what became of a candidate to a label of its conductivity, or to the reason why not.

A determined outcome becomes a value with its interval, a bound becomes a censored label. A rejected
or failed candidate is no negative: it says nothing of the material. What would teach a wrong number
is refused: another unit, another ion, another temperature, a framework that melted, a method that
is no known level of theory.
"""

from collections.abc import Mapping

from ssefw.documents import Barrier, Candidate, Estimate, Label, LabelKind, Outcome
from ssefw.errors import DataError
from ssefw.units import BOLTZMANN_EV_PER_K, ELEMENTARY_CHARGE_C

__all__ = ["METHODS", "kind_of", "label_from_barrier", "label_from_outcome"]

METHODS: dict[str, LabelKind] = {
    "vasp": "aimd",
    "espresso": "aimd",
    "abinit": "aimd",
    "cp2k": "aimd",
    "qe": "aimd",
    "allegro": "mlip",
    "chgnet": "mlip",
    "deepmd": "mlip",
    "dp": "mlip",
    "gap": "mlip",
    "m3gnet": "mlip",
    "mace": "mlip",
    "macecalculator": "mlip",
    "mattersim": "mlip",
    "nequip": "mlip",
    "nequipcalculator": "mlip",
    "orb": "mlip",
    "orbcalculator": "mlip",
    "sevennet": "mlip",
    "sevennetcalculator": "mlip",
    "tensornet": "mlip",
}
"""First word of an engine's name to the kind of label its dynamics make."""

COMPUTED: tuple[LabelKind, ...] = ("aimd", "mlip", "neb")
ROOM, TOLERANCE = 300.0, 10.0
HIGHEST = 100.0
"""S/cm; beyond begin metals and mistaken units."""

ATTEMPTS_PER_SECOND, ATTEMPT_DECADES = 1e13, 1.0
CM3_PER_A3, CM_PER_A = 1e-24, 1e-8


def kind_of(engine: str, *, methods: Mapping[str, str] | None = None) -> LabelKind:
    """Return the kind of label that dynamics of an engine make.

    Parameters
    ----------
    methods
        More names, or first words of names, with their kind.

    Raises
    ------
    DataError
        If the engine is not known as a level of theory, or its kind is none.
    """
    if not engine:
        raise DataError("No engine is on record, so the level of theory is not known.")
    word = engine.lower().partition("-")[0].partition(":")[0]
    given = methods or {}
    kind = given.get(engine) or given.get(word) or METHODS.get(word)
    if kind is None:
        raise DataError(
            f"The method {engine!r} is no known level of theory, so its conductivity is no label. "
            f"If it is one, say so with --method {engine}=mlip (or aimd)."
        )
    if kind not in COMPUTED:
        raise DataError(
            f"The method {engine!r} is tagged {kind!r}; a computed label is of kind "
            f"{', '.join(COMPUTED)}."
        )
    if METHODS.get(word, kind) != kind:
        raise DataError(
            f"The method {engine!r} is tagged {kind!r}, but {word} makes labels of kind "
            f"{METHODS[word]!r}. Correct the tag."
        )
    return kind


def label_from_outcome(
    outcome: Outcome, *, specie: str = "Li", methods: Mapping[str, str] | None = None
) -> Label:
    """Return the label that an outcome makes.

    Parameters
    ----------
    methods
        Engine name to kind of label, beside `METHODS`.

    Raises
    ------
    DataError
        If it makes none; the message says why.
    """
    fit = outcome.conductivity
    if fit is None and outcome.barrier is not None and outcome.status == "determined":
        return _from_bands(outcome, outcome.barrier, methods)
    if outcome.status not in {"determined", "indicative", "bound"} or fit is None:
        why = f": {outcome.reason}" if outcome.reason else ""
        raise DataError(f"{outcome.status}{why}. That is no statement about the conductivity.")
    sigma = fit.conductivity
    if sigma.unit != "S/cm":
        raise DataError(
            f"The conductivity is in {sigma.unit or 'no unit'!r}; labels are in S/cm. Convert it."
        )
    if fit.specie != specie:
        raise DataError(f"The conductivity is that of {fit.specie}, labels are of {specie}.")
    if abs(fit.temperature - ROOM) > TOLERANCE:
        raise DataError(
            f"The conductivity is at {fit.temperature:g} K; labels are at {ROOM:g} K within "
            f"{TOLERANCE:g} K. Fit it again with conductivity.temperature: {ROOM:g}."
        )
    kind = kind_of(outcome.provenance.engine, methods=methods)
    _check_number(sigma)
    _check_solid(outcome)
    return Label(
        candidate_id=outcome.candidate_id,
        formula=outcome.formula,
        conductivity=sigma,
        temperature=fit.temperature,
        kind=kind,
        level_of_theory=outcome.provenance.engine,
        reference=f"campaign {outcome.campaign}",
        quantity="bulk",
        # A label of a disordered crystal is not one of the cell that was relaxed.
        structure=outcome.relaxed.structure
        if outcome.relaxed and not outcome.arrangements
        else None,
        row_id=f"{outcome.campaign}/{outcome.candidate_id}",
        sources=(f"{outcome.campaign}/{outcome.candidate_id}",),
    )


def _from_bands(outcome: Outcome, barrier: Barrier, methods: Mapping[str, str] | None) -> Label:
    """Return the label of an outcome that has a migration barrier and no dynamics."""
    kind_of(barrier.provenance.engine or outcome.provenance.engine, methods=methods)
    hops = [band.hop.length for band in barrier.bands if band.hop is not None]
    if outcome.relaxed is None or not hops:
        raise DataError(
            "The barrier has no structure or no hop beside it, so the length of a hop is not known."
        )
    candidate = Candidate(
        id=outcome.candidate_id, formula=outcome.formula, structure=outcome.relaxed.structure
    )
    label = label_from_barrier(barrier, candidate, hop_length=sum(hops) / len(hops))
    name = f"{outcome.campaign}/{outcome.candidate_id}"
    level = f"{barrier.provenance.engine or outcome.provenance.engine} NEB"
    update = {"row_id": name, "sources": (name,), "level_of_theory": level}
    return label.model_copy(update=update)


def _check_number(sigma: Estimate) -> None:
    if sigma.kind == "undetermined":
        raise DataError(f"The conductivity is undetermined: {sigma.reason}")
    bound = sigma.upper if sigma.kind == "upper_bound" else sigma.lower
    if sigma.value is None and (bound is None or not 0 < bound < HIGHEST):
        raise DataError(f"A bound ({sigma}) says nothing of a solid.")
    if sigma.value is not None and not 0 <= sigma.value < HIGHEST:
        raise DataError(
            f"{sigma.value:.3g} S/cm is no conductivity of a solid electrolyte near {ROOM:g} K; "
            "check its unit."
        )
    if sigma.value == 0:
        raise DataError("A conductivity of exactly 0 is no measurement; state a bound.")


def _check_solid(outcome: Outcome) -> None:
    """Refuse a fit that reaches temperatures at which the framework melted.

    A run that melted has no diffusivity, so no fit contains it. Where it is hotter than all that
    was fitted, the fit is of runs that stayed solid and leads away from the melt, to a crystal; a
    periodic cell without surface even melts later than the crystal would. A melt at or below a
    fitted temperature says that what was fitted there was melting too, only later than it ran.
    """
    melted = [d.temperature for d in outcome.diffusivities if d.regime == "melted"]
    if not melted:
        return
    points = outcome.conductivity.points if outcome.conductivity else ()
    used = [point.temperature for point in points if point.is_used]
    if not used or min(melted) <= max(used):
        raise DataError(
            f"The framework melted at {min(melted):g} K, which the fit reaches: the conductivity "
            "is that of a liquid. Run lower temperatures."
        )


def label_from_barrier(
    barrier: Barrier, candidate: Candidate, *, hop_length: float, temperature: float = ROOM
) -> Label:
    """Return the label of kind ``neb`` that a migration barrier makes.

    The conductivity is that of independent hops over the barrier of the three-dimensional path,
    sigma = n q^2 a^2 nu / (6 kT V) exp(-E / kT) with every ion a carrier. The rate nu of attempts
    and the share of carriers are not known: nu is 1e13 / s and a decade up and down joins the
    interval, which the offset of the kind against experiment then narrows or shifts.

    Parameters
    ----------
    hop_length
        Distance between neighboring sites, angstrom.

    Raises
    ------
    DataError
        If the barrier is not from NEB, or has no value.
    """
    energy = barrier.barrier_3d
    if barrier.method != "neb":
        raise DataError(
            f"The barrier of {barrier.formula} is of method {barrier.method!r}; a label of kind "
            "neb needs one of nudged elastic band."
        )
    if energy.kind != "value" or energy.value is None or energy.unit != "eV":
        raise DataError(
            f"The barrier of {barrier.formula} is {energy}; a label needs a value in eV."
        )
    structure = candidate.structure
    carriers = structure.composition.element_composition[barrier.specie]
    thermal = BOLTZMANN_EV_PER_K * temperature
    # q^2 / kT in C^2 / J is q / (kT in volt).
    scale = (
        carriers
        / (structure.volume * CM3_PER_A3)
        * ELEMENTARY_CHARGE_C
        / thermal
        * (hop_length * CM_PER_A) ** 2
        * ATTEMPTS_PER_SECOND
        / 6.0
    )

    def sigma(ev: float | None, decades: float = 0.0) -> float:
        return float(scale * 10.0 ** (decades - (ev or 0.0) / thermal / 2.302585093))

    return Label(
        candidate_id=candidate.id,
        formula=candidate.formula,
        conductivity=Estimate(
            value=sigma(energy.value),
            lower=sigma(energy.upper, -ATTEMPT_DECADES),
            upper=sigma(energy.lower, ATTEMPT_DECADES),
            unit="S/cm",
            level=energy.level,
            method="independent hops over the barrier, a decade for attempts and carriers",
        ),
        temperature=temperature,
        kind="neb",
        level_of_theory=barrier.provenance.engine,
        reference="migration barrier",
        quantity="bulk",
        structure=structure,
        row_id=f"neb/{candidate.id}/{barrier.provenance.settings_hash}",
        sources=(f"neb/{candidate.id}",),
    )
