"""What is known of the prefactor of an Arrhenius line before anything is measured.

An ion that hops from site to site in three dimensions diffuses with D0 = nu a^2 / 6. The attempt
frequency is that of lithium in a crystal, the distance of sites the mean spacing of the ions, which
follows from the density of the crystal alone. Entropy of activation, correlation of hops, vacancies
and the dimension of the path make the true D0 larger or smaller by a factor that is not known: the
prior is normal in log10 D0, with a standard deviation that the user states. With it a line has an
end at infinite temperature, so that two or three uncertain points bend it less.
"""

import numpy as np

from ssefw.analysis.line.censored_line import CensoredLine

__all__ = ["hopping_prefactor", "with_prior"]

ATTEMPT_FREQUENCY = 1e13
"""Hz; vibrations of Li in crystals lie at 5 to 15 THz."""


def hopping_prefactor(*, n_mobile: int, volume: float) -> float:
    """Return D0 of free hops in cm^2/s.

    Parameters
    ----------
    n_mobile, volume
        Mobile ions in the cell, and its volume in A^3.
    """
    spacing = float(volume / n_mobile) ** (1.0 / 3.0) * 1e-8
    return float(ATTEMPT_FREQUENCY * spacing**2 / 6.0)


def with_prior(line: CensoredLine, prefactor: float, *, spread: float) -> CensoredLine:
    """Return a line that also knows its value at infinite temperature.

    Parameters
    ----------
    prefactor
        D0 in the unit of the line's values.
    spread
        Standard deviation of its logarithm, in decades.
    """
    return line.with_value_at_zero(float(np.log(prefactor)), spread=spread * float(np.log(10.0)))
