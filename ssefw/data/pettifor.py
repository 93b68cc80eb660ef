"""How far apart compositions are: the earth mover's distance on the modified Pettifor scale.

Hargreaves et al., Chem. Mater. 32, 10610 (2020), https://doi.org/10.1021/acs.chemmater.0c03381;
Glawe et al., New J. Phys. 18, 093011 (2016), https://doi.org/10.1088/1367-2630/18/9/093011
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition

from ssefw.data.compositions import fractions

__all__ = ["composition_distances", "cumulative_fractions"]

# The modified Pettifor scale: chemically similar elements are neighbors (Glawe et al. 2016).
_PETTIFOR = (  # noqa: SIM905 - a line of text is easier to read
    "He Ne Ar Kr Xe Rn Fr Cs Rb K Na Li Ra Ba Sr Ca Eu Yb Lu Tm Y Er Ho Dy Tb Gd Sm Pm Nd "
    "Pr Ce La Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Sc Zr Hf Ti Ta Nb V Cr Mo W Re "
    "Tc Os Ru Ir Rh Pt Pd Au Ag Cu Ni Co Fe Mn Mg Zn Cd Hg Be Al Ga In Tl Pb Sn Ge Si B C "
    "N P As Sb Bi Po Te Se S O At I Br Cl F H"
).split()
_POSITION = {symbol: position for position, symbol in enumerate(_PETTIFOR)}


def composition_distances(compositions: Sequence[Composition]) -> npt.NDArray[np.float64]:
    """Return distances between compositions, shape (n, n), in steps of the Pettifor scale.

    The earth mover's distance of two sets of atomic fractions on a line is the area between their
    cumulative sums, which makes it a Manhattan distance.
    """
    cumulative = cumulative_fractions(compositions)
    distances = np.zeros((len(compositions), len(compositions)))
    for row in range(len(compositions)):
        distances[row] = np.abs(cumulative - cumulative[row]).sum(axis=1)
    return distances


def cumulative_fractions(compositions: Sequence[Composition]) -> npt.NDArray[np.float64]:
    """Return the cumulative atomic fractions along the Pettifor scale, shape (n, 103).

    Manhattan distances between these rows are what `composition_distances` returns.
    """
    shares = np.zeros((len(compositions), len(_PETTIFOR)))
    for row, composition in enumerate(compositions):
        for symbol, share in fractions(composition).items():
            shares[row, _POSITION[symbol]] = share
    return np.cumsum(shares, axis=1)
