"""What systems share: settings that are fields, the record of the labels, and members that vote.

Members each say a probability. The mean of what they say, calibrated on labels that they had not
seen, is the score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ssefw.data.dataset import Dataset
from ssefw.data.materials import Material
from ssefw.screening.base import Scores, Screener
from ssefw.screening.calibration import calibrate, calibrated, ensemble_summary
from ssefw.screening.evaluation.metrics import best_cut

__all__ = ["TrainedScreener", "VotingScreener", "rows_without", "votes_by_kind"]

Floats = npt.NDArray[np.float64]


@dataclass(kw_only=True, eq=False)
class TrainedScreener(Screener):
    """A system whose settings are its fields, and that keeps the record of its labels.

    A subclass is a dataclass too. It calls `_remember` in `fit`, `_recall` in `restore`, and
    `_check_fitted` before it uses what was learned.
    """

    aside: ClassVar[frozenset[str]] = frozenset({"workers"})
    """Fields that do not change the result; they are no part of the settings."""

    def settings(self) -> dict[str, Any]:
        """Return the fields that change the result."""
        return {
            one.name: getattr(self, one.name) for one in fields(self) if one.name not in self.aside
        }

    @property
    def trained_on(self) -> dict[str, Any]:
        """Name, version and formulas of the labels, and the threshold."""
        self._check_fitted()
        return {**self._trained_on, "formulas": list(self.formulas_)}

    def _remember(self, data: Dataset, learned: Sequence[Material], **details: Any) -> None:
        """Keep which labels were given, and the formulas of those learned from."""
        self._trained_on: dict[str, Any] = {
            "label_set": data.name,
            "label_version": data.version,
            "threshold": data.threshold,
            **details,
        }
        self.formulas_ = [material.formula for material in learned]

    def _recall(self, meta: Mapping[str, Any]) -> None:
        """Take over the record of the labels, with its formulas or beside them."""
        record = dict(meta["trained_on"])
        self.formulas_ = list(record.pop("formulas") if "formulas" in record else meta["formulas"])
        self._trained_on = record

    def _check_fitted(self) -> None:
        if not hasattr(self, "_trained_on"):
            from sklearn.exceptions import NotFittedError  # noqa: PLC0415  see `run_tasks`

            raise NotFittedError(f"This {type(self).__name__} is not fitted; call fit first.")


class VotingScreener(TrainedScreener):
    """A system of members, each with a vote, whose calibrated mean is the score."""

    def _calibrate_on(self, unseen: Floats, y: npt.NDArray[np.int64]) -> None:
        """Calibrate on what was said of labels by members that had not seen them; NaN is nothing.

        The score that was best to cut at on these labels is remembered with them, so that it is
        known without a look at any label that the model is measured on. Call it after `_remember`.
        """
        self._calibrate_by(calibrate(unseen, y))
        known = np.isfinite(unseen)
        if known.any():
            said = calibrated(unseen[known], self.calibration_)
            self._trained_on["best_cut"] = best_cut(y[known], said)

    def _calibrate_by(self, calibration: Sequence[float]) -> None:
        """Take slope and shift of the mean's logit, as `calibrate` returns them."""
        slope, shift = calibration
        self.calibration_ = (float(slope), float(shift))

    def _middle(self, each: Floats) -> Floats:
        """Return what the members say together, before calibration, shape (n,)."""
        return np.asarray(each.mean(axis=0))

    def _scores(
        self,
        materials: Sequence[Material],
        each: Floats,
        problems: Mapping[int, str],
        *,
        meaning: str,
        distance: Floats,
        details: Mapping[str, npt.NDArray[Any]],
    ) -> Scores:
        """Return the scores of materials from what each member says.

        Parameters
        ----------
        each
            Shape (members, n), NaN in the rows of `problems`.
        """
        n = len(materials)
        good = rows_without(problems, n)
        summary = np.full((4, n), np.nan)
        if len(good):
            middle = self._middle(each[:, good])
            summary[:, good] = ensemble_summary(middle, each[:, good], self.calibration_)
        return Scores(
            names=tuple(material.name for material in materials),
            probability=summary[0],
            spread=summary[1],
            lower=summary[2],
            upper=summary[3],
            meaning=meaning,
            votes=(each >= 0.5).sum(axis=0),
            n_votes=len(each),
            distance=distance,
            problems=problems,
            details=details,
        )


def rows_without(problems: Mapping[int, str], n: int) -> npt.NDArray[np.int64]:
    """Return the rows of `n` that have no problem."""
    return np.array([row for row in range(n) if row not in problems], dtype=np.int64)


def votes_by_kind(
    each: Floats, kinds: Sequence[str], named: Sequence[str]
) -> dict[str, npt.NDArray[np.int64]]:
    """Return the votes of the members of each named kind, as details of scores."""
    own = np.array(kinds)
    return {f"votes_{kind}": (each[own == kind] >= 0.5).sum(axis=0) for kind in named}
