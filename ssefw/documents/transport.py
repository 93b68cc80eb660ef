"""What dynamics say of transport: diffusivity and conductivity."""

from typing import Literal

from pydantic import Field

from ssefw.documents.base import Document, Estimate, Provenance
from ssefw.units import (
    Area,
    Cm2PerS,
    CoreHours,
    Fraction,
    Length,
    Pure,
    Temperature,
    TimePs,
    Volume,
)


class Diffusivity(Document):
    """Self-diffusion of one specie at one temperature, with what it rests on.

    Attributes
    ----------
    temperature
        The thermostat's set point.
    mean_temperature
        What the run really had, where known.
    tracer
        Tracer diffusivity D* in cm^2/s.
    charge
        Collective (charge) diffusivity D_sigma in cm^2/s.
    haven
        Haven ratio D*/D_sigma.
    n_hops
        Effective number of site-to-site hops observed, after He, Zhu & Mo (2018): the diffusive
        part of the total squared displacement over the squared hop distance.
    hop_rsd
        Relative standard deviation of D* by their rule 3.43 / sqrt(n_hops) + 0.04, beside which the
        interval of `tracer` can be read.
    framework_rmsd, framework_lindemann
        Net displacement of the framework over the run, and the amplitude of its most rigid species
        over the distance between neighbors.
    regime
        ``diffusive`` permits a value; ``vibrating`` and ``subdiffusive`` give an upper bound;
        ``melted`` blocks the fit.
    lag_times, msd
        The time-averaged mean squared displacement, thinned for drawing.
    fit_window
        Lags that entered the fit.
    length_reason
        Why the run is as long as it is, where a policy decided.
    drift_reference
        What was held still while displacements were taken.
    warnings
        What a reader should know before using the number.
    """

    specie: str
    temperature: Temperature
    tracer: Estimate
    charge: Estimate | None = None
    haven: Estimate | None = None
    regime: Literal["diffusive", "subdiffusive", "vibrating", "melted", "undetermined"]
    reason: str = ""
    n_mobile: int
    n_atoms: int
    volume: Volume
    n_frames: int
    duration: TimePs
    equilibration: TimePs = 0.0
    mean_temperature: Temperature | None = None
    n_hops: Pure
    hop_rsd: Fraction | None = None
    hop_distance: Length
    framework_rmsd: Length | None = None
    framework_lindemann: Pure | None = None
    fit_window: tuple[TimePs, TimePs] | None = None
    lag_times: tuple[TimePs, ...] = ()
    msd: tuple[Area, ...] = ()
    msd_framework: tuple[Area, ...] = ()
    drift_reference: Literal["framework", "all", "none"] = "framework"
    warnings: tuple[str, ...] = ()
    trajectory_key: str = ""
    length_reason: str = ""
    provenance: Provenance = Field(default_factory=Provenance)


class Confirmation(Document):
    """A second look at a hit: one run in a larger cell, or with another engine.

    Attributes
    ----------
    engine
        That ran it.
    n_atoms, n_atoms_before
        In its cell, and in that of the ladder.
    arrangement
        Of a disordered crystal.
    diffusivity
        What it gave; None where it failed.
    ratio
        D of this run over that of the ladder at the same temperature.
    agrees
        Whether the interval of `ratio` holds one; None where the runs do not say.
    """

    temperature: Temperature
    engine: str
    n_atoms: int
    n_atoms_before: int
    arrangement: int | None = None
    diffusivity: Diffusivity | None = None
    ratio: Estimate
    agrees: bool | None = None
    core_hours: CoreHours = 0.0


class ArrheniusPoint(Document):
    """One temperature of an Arrhenius fit."""

    temperature: Temperature
    diffusivity: Estimate
    conductivity: Estimate
    is_used: bool
    reason: str = ""


class Conductivity(Document):
    """Conductivity at a temperature from an Arrhenius fit, with its interval.

    Attributes
    ----------
    temperature
        Where `conductivity` is given, by default 300 K.
    prefactor
        D0 of D = D0 exp(-E_a / kT).
    log10_conductivity
        The same conductivity and interval as log10(sigma / (S/cm)), in which errors are additive.
    form
        Which quantity is taken as a pure exponential: sigma*T (the hopping form) or sigma.
    curvature_p
        p-value of the test that a curved line fits no better; small means not Arrhenius.
    statistics
        The same conductivity with the interval of a line that is taken as straight, in S/cm.
    bend_decades
        Standard deviation of log10 sigma for that the barrier may change outside the window.
    extrapolation
        How far it lies from the runs: ``direct`` from one at most 100 K above; else by
        `bend_decades`.
    haven, collective
        Haven ratio D*/D_sigma of the runs together, and the conductivity over it: that of ions
        which move together. None where no run resolves one, or the conductivity is no value.
    prior_prefactor, prior_decades
        D0 that was taken as likely beforehand in cm^2/s, and its standard deviation in decades.
    """

    specie: str
    temperature: Temperature = 300.0
    conductivity: Estimate
    log10_conductivity: Estimate | None = None
    activation_energy: Estimate
    prefactor: Estimate
    points: tuple[ArrheniusPoint, ...]
    form: Literal["sigma_t", "sigma"] = "sigma_t"
    carrier_charge: Pure
    n_mobile: int
    volume: Volume
    curvature_p: Fraction | None = None
    statistics: Estimate | None = None
    bend_decades: Pure | None = None
    extrapolation: Literal["direct", "short", "long", "very long"] | None = None
    haven: Estimate | None = None
    collective: Estimate | None = None
    prior_prefactor: Cm2PerS | None = None
    prior_decades: Pure | None = None
    warnings: tuple[str, ...] = ()
    provenance: Provenance = Field(default_factory=Provenance)
