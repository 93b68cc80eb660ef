"""A second look at hits: a larger cell, or another engine, at one temperature."""

from ssefw.makers.confirm.maker import ConfirmMaker

# Stored jobs and what is hashed of them name this path.
ConfirmMaker.__module__ = __name__

__all__ = ["ConfirmMaker"]
