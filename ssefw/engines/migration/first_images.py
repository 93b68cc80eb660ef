"""Where the images of a hop start, by the path that is asked for."""

from typing import TYPE_CHECKING, Literal

from pymatgen.core import Structure

from ssefw import bvse
from ssefw.data.defects import crystal_of, ion_of
from ssefw.data.hops import HopClass
from ssefw.engines.band import check_images, idpp_images, linear_images
from ssefw.engines.migration.seeding import (
    RESOLUTION,
    images_along,
    keeps_distance,
    site_energy_path,
)
from ssefw.errors import AnalysisError, DataError

if TYPE_CHECKING:
    from ssefw.bvse.landscape import Landscape

__all__ = ["PathChoice", "first_images", "hop_landscape"]

PathChoice = Literal["auto", "linear", "idpp", "bvse"]


def first_images(
    structure: Structure,
    kind: HopClass,
    *,
    path: PathChoice,
    n_images: int,
    ends: tuple[Structure, Structure],
    landscape: "Landscape | None",
    mover: int,
) -> tuple[list[Structure], tuple[str, ...]]:
    """Return the images as they start, and what a reader should know of them.

    Parameters
    ----------
    structure
        The crystal, with marks where interstitial ions hop.
    path
        See `ssefw.engines.migration.MigrationSettings`.
    ends
        The relaxed cells with the defect.
    mover
        The ion that moves, by its place in the ends.
    landscape
        Of the site energy; by default it is calculated where it is needed.
    """
    warnings: tuple[str, ...] = ()
    # The site energy knows one ion that moves.
    if path in {"auto", "bvse"} and kind.hop.via is None:
        try:
            if landscape is None:
                landscape = hop_landscape(structure, kind)
            points = site_energy_path(structure, kind.hop, landscape)
            images = images_along(*ends, mover=mover, path=points, n_images=n_images)
            check_images(images)
        except (AnalysisError, DataError) as error:
            # Images only begin somewhere: another beginning leads to the same band.
            if path == "bvse":
                warnings = (f"The images started from IDPP, not from the site energy: {error}",)
        else:
            if path == "bvse" or keeps_distance(images, mover=mover):
                return images, ()
    images = linear_images(*ends, n_images=n_images)
    return (images if path == "linear" else idpp_images(images)), warnings


def hop_landscape(structure: Structure, kind: HopClass) -> "Landscape":
    """Return the bond-valence site energy of the ion of a hop."""
    return bvse.site_energy_landscape(
        crystal_of(structure), ion=ion_of(structure, kind.hop), resolution=RESOLUTION
    ).landscape
