"""When dynamics have left what a potential was taught, and when they may come back.

A rare collision takes the surroundings of an atom out of what training showed for some steps; a
potential that no longer knows what it does does not come back. So a run ends where it is far
outside, where it stays there for longer than a collision lasts, or where it is there too often;
what it did outside and survived is told.
"""

from collections.abc import Sequence
from typing import Any

from ssefw.data import Chunk
from ssefw.nep import Leash

__all__ = ["FARTHEST", "Excursions"]

FARTHEST = 3.0
"""Excess from which a step is outside: the learning loop gives an exploration up there."""

GONE = 10.0
"""Excess at which a run ends at once. A run that flew apart had 17 when it was seen; where between
that and 3 there is no return has not been measured."""

COLLISION = 50.0
"""fs: ions turn around in a hundred, and half of that is spent on the way out."""

RARE = 1e-3
"""Share of steps outside that a run may have, from `COLLISION` on: the diffusivity of a run of
which a thousandth is made up is wrong by far less than its interval is wide."""


class Excursions:
    """The steps of a run that lay outside of what its potential was taught.

    Parameters
    ----------
    outside
        Excess from which on a step does.
    timestep
        fs.
    """

    def __init__(self, outside: float, timestep: float) -> None:
        self._outside = outside
        self._shortest = max(1, round(COLLISION / timestep))
        self._steps = self._in_a_row = 0

    def restore(self, last: Chunk) -> None:
        """Take up the counts at the end of a chunk, of which older ones tell nothing."""
        self._steps, self._in_a_row = last.notes.get("outside", (0, 0))

    def leash(self) -> Leash:
        """Return how far the dynamics to come may go."""
        return Leash(self._outside, max(GONE, self._outside), self._shortest, self._in_a_row)

    def of_steps(self, excesses: Sequence[float], *, first_step: int) -> dict[str, Any]:
        """Return what is noted of a chunk whose steps had these excesses; see `notes`."""
        outside = [number for number, one in enumerate(excesses) if one > self._outside]
        in_a_row = 0
        while in_a_row < len(excesses) and excesses[-1 - in_a_row] > self._outside:
            in_a_row += 1
        if in_a_row == len(excesses):
            in_a_row += self._in_a_row
        return self.notes(
            last_step=first_step + len(excesses) - 1,
            worst=max(excesses, default=0.0),
            outside=len(outside),
            first=first_step + outside[0] if outside else -1,
            in_a_row=in_a_row,
        )

    def notes(
        self, *, last_step: int, worst: float, outside: int, first: int, in_a_row: int
    ) -> dict[str, Any]:
        """Take in what a chunk showed, and return what is noted with it.

        Parameters
        ----------
        last_step
            The last step of the run so far.
        worst
            Largest excess.
        outside, first, in_a_row
            Steps outside, the first of them counted over the run, and how many of them were the
            last ones without a break.

        Raises
        ------
        ValueError
            If the run has left what it was taught.
        """
        self._steps += outside
        self._in_a_row = in_a_row
        why = ""
        if worst > max(GONE, self._outside):
            why = f"by {worst:.1f} ranges"
        elif in_a_row >= self._shortest:
            why = f"for {in_a_row} steps in a row"
        elif self._steps >= max(self._shortest, RARE * last_step):
            why = f"in {self._steps} of {last_step} steps"
        if why:
            raise ValueError(
                f"surroundings of an atom lie {worst:.1f} ranges of training outside of it (limit "
                f"{self._outside:g}), {why}; teach the potential at this temperature"
            )
        found: dict[str, Any] = {"excess": worst}
        if self._steps:
            found["outside"] = [self._steps, self._in_a_row]
        if outside:
            found["remark"] = (
                f"up to {worst:.1f} ranges outside of what the potential was taught ({outside} of "
                f"the steps from {first} on; {self._steps} of {last_step} so far)"
            )
        return found
