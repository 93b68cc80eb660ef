"""What is on record of a potential, in a file beside it."""

import json

from pydantic import ValidationError

from ssefw.documents import LearnedPotential
from ssefw.engines.students.shelf import potential_card
from ssefw.errors import DataError
from ssefw.files import replacing

__all__ = ["read_card", "write_card"]


def write_card(card: LearnedPotential) -> None:
    """Write what is on record beside the potential."""
    with replacing(potential_card(card.potential)) as draft:
        draft.write_text(json.dumps(card.model_dump(mode="json"), indent=1) + "\n")


def read_card(digest: str) -> LearnedPotential | None:
    """Return what is on record of a potential, None where there is nothing.

    Raises
    ------
    DataError
        If its file is damaged.
    """
    path = potential_card(digest)
    if not path.exists():
        return None
    try:
        return LearnedPotential.model_validate_json(path.read_text())
    except (OSError, ValueError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"Cannot read {path}, the record of a potential: {reason}") from error
