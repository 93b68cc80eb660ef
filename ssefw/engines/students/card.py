"""What is on record of a student: where it comes from and what it was seen to do."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ssefw.engines.students.acceptance import Check, is_accepted
from ssefw.engines.students.learning import Learned, LearnSettings
from ssefw.engines.students.shelf import potential_card
from ssefw.errors import DataError
from ssefw.files import replacing
from ssefw.nep import FitErrors

__all__ = ["make_card", "read_card", "write_card"]


def make_card(
    learned: Learned,
    checks: Sequence[Check],
    *,
    teacher: str,
    versions: dict[str, str],
    structures: Sequence[str],
    settings: LearnSettings,
) -> dict[str, Any]:
    """Return the card of a student as plain JSON; keys carry their units.

    Parameters
    ----------
    learned, checks
        What the loop ended with, and how it was judged.
    teacher, versions
        Name of the teacher's engine and versions of its programs.
    structures
        Formulas of the crystals that were learned.
    settings
        How.
    """
    return {
        "potential": learned.student.digest,
        "form": "NEP4",
        "species": list(learned.student.species),
        "teacher": teacher,
        "versions": versions,
        "structures": list(structures),
        "settings": asdict(settings),
        "labels": learned.n_labels,
        "stable": learned.stable,
        "first_errors": _errors(learned.first_errors),
        "rounds": [
            {
                "ran_ps": [abs(duration) for duration in one.survived],
                "lost": [duration < 0 for duration in one.survived],
                "labels": one.labels,
                **_errors(one.errors),
            }
            for one in learned.rounds
        ],
        "checks": [asdict(check) for check in checks],
        "accepted": learned.stable and is_accepted(checks),
    }


def _errors(errors: FitErrors) -> dict[str, float | None]:
    return {
        "force_rmse_eV_per_A": errors.force,
        "energy_rmse_eV_per_atom": errors.energy,
        "stress_rmse_eV_per_A3": errors.stress,
    }


def write_card(card: dict[str, Any]) -> None:
    """Write a card beside its potential."""
    with replacing(potential_card(card["potential"])) as draft:
        draft.write_text(json.dumps(card, indent=1) + "\n")


def read_card(digest: str) -> dict[str, Any] | None:
    """Return the card of a potential, None where there is none.

    Raises
    ------
    DataError
        If its file is damaged.
    """
    path = potential_card(digest)
    if not path.exists():
        return None
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read the card {path}: {error}") from error
    if not isinstance(card, dict):
        raise DataError(f"{path} is not the card of a potential.")
    return card
