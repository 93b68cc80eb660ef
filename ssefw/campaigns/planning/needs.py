"""Whether this machine has what a campaign needs to run: programs, pseudopotentials, packages."""

from collections.abc import Iterable

from pymatgen.core import Composition

from ssefw.campaigns.planning.change import maker_of
from ssefw.campaigns.planning.plan import Plan
from ssefw.documents import CampaignRecord
from ssefw.makers import CandidateMaker

__all__ = ["missing_for", "missing_for_rest"]


def missing_for(plan: Plan) -> list[str]:
    """Return what this machine lacks to run a plan, each with its remedy."""
    return _missing(plan.maker, (candidate.formula for candidate in plan.candidates))


def missing_for_rest(record: CampaignRecord) -> list[str]:
    """Return what this machine lacks to go on with a campaign that is in the store."""
    maker = maker_of(record)
    formulas = (candidate.formula for candidate in record.candidates)
    return [] if maker is None else _missing(maker, formulas)


def _missing(maker: CandidateMaker, formulas: Iterable[str]) -> list[str]:
    elements = {element.symbol for formula in formulas for element in Composition(formula).elements}
    engines = [(maker.relax.engine, False)]
    if maker.ladder is not None:
        engines.append((maker.ladder.md.engine, False))
        if (second := maker.ladder.confirm) is not None and second.engine is not None:
            engines.append((second.engine, False))
    if (bands := maker.neb) is not None:
        engines.append((bands.engine, True))
        engines += [(bands.first, True)] if bands.first else []
    found = (said for engine, has_bands in engines
             for said in engine.missing(elements, has_bands=has_bands))  # fmt: skip
    return list(dict.fromkeys(found))
