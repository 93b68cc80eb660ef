"""Barriers of vacancy hops."""

from typing import Literal

from ssefw.campaigns.file.block import Block
from ssefw.campaigns.file.engine import EngineSpec
from ssefw.units import (
    AskedCharge,
    AskedCount,
    AskedEnergy,
    AskedForce,
    AskedHop,
    AskedImages,
    AskedLength,
)

__all__ = ["NebSpec"]


class NebSpec(Block):
    """Barriers of hops, before dynamics or instead of them.

    Attributes
    ----------
    converge
        Find cutoffs and k-points within this (eV/atom) before, for the code ``espresso``.
    mechanism
        Whether vacancies hop, interstitial ions, or these with an ion that they push on.
    engine
        What relaxes ends and bands, where it is not the campaign's; it then also relaxes the
        crystal.
    first
        A cheaper engine that relaxes each band first.
    hops
        The ``shortest`` that cross the crystal, those that do so over the lowest saddle points of
        the site energy (``bvse``), or ``all`` up to `max_hop`.
    path
        Where the images of a band start.
    images
        Both ends included.
    fmax, end_fmax
        Largest force (eV/A) of converged bands and of relaxed ends.
    charge
        Of a cell with the defect, for engines that know charge; by default that of Li+.
    max_barrier
        A candidate with a higher barrier gets no dynamics.
    """

    engine: EngineSpec | None = None
    first: EngineSpec | None = None
    converge: AskedEnergy | None = None
    mechanism: Literal["vacancy", "interstitial", "concerted"] = "vacancy"
    hops: Literal["shortest", "bvse", "all"] = "shortest"
    max_hop: AskedHop = 6.0
    max_hops: AskedCount = 20
    min_length: AskedLength = 10.0
    max_atoms: AskedCount = 400
    path: Literal["auto", "linear", "idpp", "bvse"] = "auto"
    images: AskedImages = 7
    fmax: AskedForce = 0.05
    max_steps: AskedCount = 200
    climb: bool = True
    end_fmax: AskedForce = 0.01
    end_steps: AskedCount = 500
    charge: AskedCharge | None = None
    max_barrier: AskedEnergy | None = None
