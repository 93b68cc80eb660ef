"""What a check of a store says."""

from dataclasses import dataclass

__all__ = ["Finding"]


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes
    ----------
    kind
        One word, for programs: ``file``, ``log``, ``record``, ``index``, ``blob``, ``missing``,
        ``orphan``, ``double``, ``lock``, ``mode``, ``job``.
    where
        File, record or blob.
    what
        What is wrong with it.
    remedy
        What was done or is to be done.
    mended
        Whether it is as it should be now.
    """

    kind: str
    where: str
    what: str
    remedy: str = ""
    mended: bool = False
