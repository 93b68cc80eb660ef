"""What the record of a band says of its hop."""

from ssefw.data.hops import HopClass
from ssefw.documents import HopRecord, NebPath, NebStatus, Provenance

__all__ = ["hop_label", "hop_record", "no_band"]


def hop_record(kind: HopClass) -> HopRecord:
    """Return what a record says of a class of hops."""
    hop = kind.hop
    return HopRecord(
        start=hop.start,
        end=hop.end,
        image=hop.image,
        length=hop.length,
        via=None if hop.via is None else hop.via[0],
        via_image=None if hop.via is None else hop.via[1],
        symmetric=kind.symmetric,
        n_equivalent=len(kind.hops),
    )


def hop_label(hop: HopRecord, *, first: int = 0) -> str:
    """Return what tells a hop from others: its sites, counted from `first`, and their cells."""

    def shown(site: int, image: tuple[int, int, int]) -> str:
        return f"-{site + first}" + "".join(f"{x:+d}" for x in image)

    pushed = shown(hop.via, hop.via_image) if hop.via is not None and hop.via_image else ""
    return f"{hop.start + first}{pushed}{shown(hop.end, hop.image)}"


def no_band(
    kind: HopClass,
    reason: str,
    *,
    status: NebStatus = "failed",
    provenance: Provenance | None = None,
) -> NebPath:
    """Return the record of a hop that came to no band.

    Parameters
    ----------
    kind
        The class of hops.
    reason
        Why there is none.
    status
        Whether it failed, or what else became of it.
    provenance
        Of the engine that tried.
    """
    return NebPath(
        hop=hop_record(kind),
        energies=(),
        lengths=(),
        max_forces=(),
        status=status,
        climbed=False,
        reason=reason,
        provenance=provenance or Provenance(),
    )
