"""What can go wrong, as one tree of exceptions.

::

    SsefwError
    ├── ConfigurationError      settings or campaign file wrong
    ├── DataError               structures, labels or trajectories unusable
    ├── EngineError             a calculation could not run or did not converge
    ├── AnalysisError           the data cannot support the answer
    ├── StoreError              database unreachable or record unreadable
    ├── LaunchError             nothing was submitted, and why
    ├── NotNowError             not through its own fault; done later, it can be
    │   ├── BusyError           another process has the folder
    │   ├── DiskFullError       there is no space left
    │   └── TakenError          the job was given to another worker
    └── MissingDependencyError  an optional package is absent (also an ImportError)

The command line prints an `SsefwError` as one line; anything else is a bug and keeps its traceback.
"""

from pathlib import Path

__all__ = [
    "AnalysisError",
    "BusyError",
    "ConfigurationError",
    "DataError",
    "DiskFullError",
    "EngineError",
    "LaunchError",
    "MissingDependencyError",
    "NotNowError",
    "SsefwError",
    "StoreError",
    "TakenError",
]

LONGEST_LINE = 1600
"""Characters of a line of a message. What quotes a damaged file may quote all of it; a list of the
columns of a wide table, the longest that is meant, has some hundred."""
_KEPT_AT_THE_END = 300
"""A message ends with how to mend it."""


def _shortened(line: str) -> str:
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE - _KEPT_AT_THE_END]} ... {line[-_KEPT_AT_THE_END:]}"


class SsefwError(Exception):
    """A situation that a user can meet, with a message that says how to mend it."""

    def __str__(self) -> str:
        return "\n".join(_shortened(line) for line in super().__str__().split("\n"))


class ConfigurationError(SsefwError):
    """Settings or a campaign file are wrong.

    Attributes
    ----------
    mistakes
        A line for each; the message is all of them.
    """

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(_shortened(mistake) for mistake in mistakes)


class DataError(SsefwError):
    """Structures, labels or trajectories are unusable."""


class EngineError(SsefwError):
    """A calculation could not run or did not converge.

    Attributes
    ----------
    directory
        Where its files are, if it got as far as having any.
    """

    def __init__(self, message: str, *, directory: Path | None = None) -> None:
        super().__init__(message)
        self.directory = directory


class AnalysisError(SsefwError):
    """The data cannot support the answer: too short, too few jumps, not diffusive."""


class StoreError(SsefwError):
    """The database cannot be reached or a record cannot be read."""


class LaunchError(SsefwError):
    """Nothing was submitted; the message says why."""


class NotNowError(SsefwError):
    """A calculation cannot be done now, through no fault of its own: it is to be done later.

    It is no failure of a job: the launch pad takes the job back.
    """

    def to_dict(self) -> dict[str, str]:
        """Return what FireWorks keeps of an exception."""
        return {"not_now": type(self).__name__, "message": str(self)}


class BusyError(NotNowError):
    """Another process is working in the folder."""


class DiskFullError(NotNowError):
    """There is no space left where something has to be written."""


class TakenError(NotNowError):
    """The job was given to another worker; what this one has is not kept."""


class MissingDependencyError(SsefwError, ImportError):
    """An optional package is absent; the message has the pip command."""

    def __init__(self, package: str, *, purpose: str, extra: str | None = None) -> None:
        target = f"'ssefw[{extra}]'" if extra else package
        super().__init__(f"{purpose} needs the package {package!r}: pip install {target}")
