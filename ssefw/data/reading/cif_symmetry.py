"""Reading a CIF that names its space group without listing the operations.

pymatgen's reader makes a set of them whose members all hash alike, so that each is compared with
each: 0.7 s for the 192 of Fm-3m. Here they come from the same table in the same order, which is
the order of the atoms.
"""

import re
from collections.abc import Mapping
from typing import Any

from pymatgen.core.operations import SymmOp
from pymatgen.io.cif import CifBlock, CifParser
from pymatgen.symmetry.groups import SYMM_DATA, SpaceGroup

__all__ = ["NamedGroupParser", "named_operations"]

_LISTS = ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz")
_NAMES = (
    "_symmetry_space_group_name_H-M",
    "_symmetry_space_group_name_H_M",
    "_space_group_name_Hall",
    "_space_group_name_H-M_alt",
    "_symmetry_space_group_name_hall",
    "_symmetry_space_group_name_h-m",
)
"""In the order in which pymatgen asks for them; each may end with an underscore."""
_NOT_SAID = re.compile(r"[\s_]")


class NamedGroupParser(CifParser):
    """pymatgen's reader, with the operations of a named space group at once."""

    def get_symops(self, data: CifBlock) -> list[SymmOp]:
        """Return the operations that a block lists, or those of the group it names."""
        listed = any(data.data.get(name + end) for name in _LISTS for end in ("", "_"))
        if not listed and (operations := named_operations(data.data)):
            return operations
        return super().get_symops(data)


def named_operations(data: Mapping[str, Any]) -> list[SymmOp]:
    """Return the operations of the space group that a block names; none if it is unknown."""
    keys = (name + end for name in _NAMES for end in ("", "_"))
    named = next((found for key in keys if (found := data.get(key))), None)
    return _operations(named) if isinstance(named, str) else []


class _Placed:
    """An operation in a set: alike in hash, as pymatgen's, and equal to none but itself."""

    def __init__(self, operation: SymmOp) -> None:
        self.operation = operation

    def __hash__(self) -> int:
        return hash(self.operation)


def _operations(named: str) -> list[SymmOp]:
    """Return the operations of a space group by its Hermann-Mauguin symbol; none if unknown."""
    known = {_NOT_SAID.sub("", symbol): symbol for symbol in SYMM_DATA["space_group_encoding"]}
    symbol = known.get(_NOT_SAID.sub("", named), "")
    symbol = SpaceGroup.abbrev_sg_mapping.get(
        symbol, SpaceGroup.full_sg_mapping.get(symbol, symbol)
    )
    for group in SpaceGroup.SYMM_OPS:
        if symbol in {group["hermann_mauguin"], group["universal_h_m"], group["hermann_mauguin_u"]}:
            made = {_Placed(SymmOp.from_xyz_str(text)) for text in group["symops"]}
            return [placed.operation for placed in made]
    return []
