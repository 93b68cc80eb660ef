"""Barriers of vacancy hops."""

from typing import Literal

from pydantic import Field

from ssefw.campaigns.file.block import Block
from ssefw.campaigns.file.engine import EngineSpec
from ssefw.units import Energy, Length, Pure

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
    converge: Energy | None = Field(None, gt=0)
    mechanism: Literal["vacancy", "interstitial", "concerted"] = "vacancy"
    hops: Literal["shortest", "bvse", "all"] = "shortest"
    max_hop: Length = Field(6.0, gt=0)
    max_hops: int = Field(20, ge=1)
    min_length: Length = Field(10.0, gt=0)
    max_atoms: int = Field(400, ge=1)
    path: Literal["auto", "linear", "idpp", "bvse"] = "auto"
    images: int = Field(7, ge=3)
    fmax: Pure = Field(0.05, gt=0)
    max_steps: int = Field(200, ge=1)
    climb: bool = True
    end_fmax: Pure = Field(0.01, gt=0)
    end_steps: int = Field(500, ge=1)
    charge: Pure | None = None
    max_barrier: Energy | None = Field(None, gt=0)
