"""What all blocks of a campaign file have in common."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Block"]


class Block(BaseModel):
    """A block of a campaign file: closed, so that a mistyped key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
