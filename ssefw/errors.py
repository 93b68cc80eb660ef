"""What can go wrong, as one tree of exceptions.

::

    SsefwError
    ├── ConfigurationError      settings or campaign file wrong
    ├── DataError               structures, labels or trajectories unusable
    ├── EngineError             a calculation could not run or did not converge
    ├── AnalysisError           the data cannot support the answer
    ├── StoreError              database unreachable or record unreadable
    ├── LaunchError             nothing was submitted, and why
    └── MissingDependencyError  an optional package is absent (also an ImportError)

The command line prints an `SsefwError` as one line; anything else is a bug and keeps its traceback.
"""

from pathlib import Path

__all__ = [
    "AnalysisError",
    "ConfigurationError",
    "DataError",
    "EngineError",
    "LaunchError",
    "MissingDependencyError",
    "SsefwError",
    "StoreError",
]


class SsefwError(Exception):
    """A situation that a user can meet, with a message that says how to mend it."""


class ConfigurationError(SsefwError):
    """Settings or a campaign file are wrong.

    Attributes
    ----------
    mistakes
        A line for each; the message is all of them.
    """

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


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


class MissingDependencyError(SsefwError, ImportError):
    """An optional package is absent; the message has the pip command."""

    def __init__(self, package: str, *, purpose: str, extra: str | None = None) -> None:
        target = f"'ssefw[{extra}]'" if extra else package
        super().__init__(f"{purpose} needs the package {package!r}: pip install {target}")
