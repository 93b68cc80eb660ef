"""The publications whose methods a campaign used, for whoever writes about it."""

from collections.abc import Iterator
from dataclasses import dataclass

from ssefw.campaigns.file import CampaignSpec, EngineSpec, campaign_of
from ssefw.documents import CampaignRecord

__all__ = ["Reference", "methods_of"]


@dataclass(frozen=True)
class Reference:
    """A publication and what of it was used."""

    used_for: str
    text: str
    doi: str


CHGNET = Reference(
    "potential CHGNet", "B. Deng et al., Nat. Mach. Intell. 5, 1031 (2023)",
    "10.1038/s42256-023-00716-3",
)  # fmt: skip
SEVENNET = Reference(
    "potential SevenNet",
    "Y. Park et al., J. Chem. Theory Comput. 20, 4857 (2024)",
    "10.1021/acs.jctc.4c00190",
)
ASE = Reference(
    "dynamics and relaxation with ASE",
    "A. H. Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017)",
    "10.1088/1361-648X/aa680e",
)
VASP = (
    Reference("VASP", "G. Kresse, J. Furthm\u00fcller, Phys. Rev. B 54, 11169 (1996)",
              "10.1103/PhysRevB.54.11169"),
    Reference("PAW potentials", "G. Kresse, D. Joubert, Phys. Rev. B 59, 1758 (1999)",
              "10.1103/PhysRevB.59.1758"),
    Reference("functional PBE", "J. P. Perdew, K. Burke, M. Ernzerhof, Phys. Rev. Lett. 77, 3865 "
              "(1996)", "10.1103/PhysRevLett.77.3865"),
    Reference("input sets and parsing of atomate2", "A. M. Ganose et al., Digital Discovery 4, "
              "1944 (2025)", "10.1039/D5DD00019J"),
)  # fmt: skip
ESPRESSO = (
    Reference("Quantum ESPRESSO",
              "P. Giannozzi et al., J. Phys.: Condens. Matter 21, 395502 (2009)",
              "10.1088/0953-8984/21/39/395502"),
    Reference("Quantum ESPRESSO",
              "P. Giannozzi et al., J. Phys.: Condens. Matter 29, 465901 (2017)",
              "10.1088/1361-648X/aa8f79"),
)  # fmt: skip
IPI = Reference(
    "forces over the protocol of i-PI", "V. Kapil et al., Comput. Phys. Commun. 236, 214 (2019)",
    "10.1016/j.cpc.2018.09.020",
)  # fmt: skip
SOCKET = {
    "cp2k": (
        Reference("CP2K", "T. D. K\u00fchne et al., J. Chem. Phys. 152, 194103 (2020)",
                  "10.1063/5.0007045"),
    ),
}  # fmt: skip
"""By the name of the program; of others nobody knows here what is to be cited."""
BVSE = Reference(
    "bond-valence site energies", "H. Chen, L. L. Wong, S. Adams, Acta Cryst. B 75, 18 (2019)",
    "10.1107/S2052520618015718",
)  # fmt: skip
NEB = Reference(
    "climbing-image nudged elastic bands",
    "G. Henkelman, B. P. Uberuaga, H. J\u00f3nsson, J. Chem. Phys. 113, 9901 (2000)",
    "10.1063/1.1329672",
)
NOSE_HOOVER = Reference(
    "Nos\u00e9-Hoover thermostat", "W. G. Hoover, Phys. Rev. A 31, 1695 (1985)",
    "10.1103/PhysRevA.31.1695",
)  # fmt: skip
ALWAYS = (
    Reference("structures with pymatgen, jobs with custodian",
              "S. P. Ong et al., Comput. Mater. Sci. 68, 314 (2013)",
              "10.1016/j.commatsci.2012.10.028"),
    Reference("workflows with jobflow", "A. S. Rosen et al., J. Open Source Softw. 9, 5995 (2024)",
              "10.21105/joss.05995"),
    Reference("execution with FireWorks",
              "A. Jain et al., Concurr. Comput.: Pract. Exp. 27, 5037 (2015)", "10.1002/cpe.3505"),
)  # fmt: skip


POTENTIALS = {"chgnet": CHGNET, "sevenn": SEVENNET}
"""By a part of the name of the potential, or of the path of the calculator."""


def methods_of(record: CampaignRecord) -> list[Reference]:
    """Return what a campaign used, as its file says, the engine first; each once."""
    return list(dict.fromkeys([*_used(campaign_of(record)), *ALWAYS]))


def _used(spec: CampaignSpec) -> Iterator[Reference]:
    bands = [spec.neb.engine, spec.neb.first] if spec.neb else []
    for engine in filter(None, (spec.engine, *bands)):
        yield from _of_engine(engine)
    if spec.md is not None and spec.md.thermostat == "nose-hoover":
        yield NOSE_HOOVER
    if spec.bvse:
        yield BVSE
    if spec.neb:
        yield NEB


def _of_engine(engine: EngineSpec) -> Iterator[Reference]:
    if engine.code == "vasp":
        yield from VASP
    elif engine.code == "espresso":
        yield from ESPRESSO
    elif engine.code == "socket":
        yield from SOCKET.get(engine.options.get("program", ""), ())
        yield IPI
    elif engine.code == "ase":
        named = str(engine.potential or engine.calculator).lower()
        yield from (reference for word, reference in POTENTIALS.items() if word in named)
        yield ASE
