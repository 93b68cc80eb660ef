"""The text of OUTCAR and OSZICAR, piece by piece."""

import numpy as np
from formats import fortran

RULE = "-" * 104
LINE = "  " + "-" * 51 + "\n"


def head(run):
    """Return OUTCAR up to the first ionic step."""
    spin, ibrion = int(run.tags["ISPIN"]), int(run.tags["IBRION"])
    lines = [
        " vasp.6.4.2 20Jul23 (fake) complex",
        " executed on             LinuxGNU date 2026.01.01  00:00:00",
        " running on    1 total cores",
        " distrk:  each k-point on    1 cores,    1 groups",
        " distr:  one band on NCORE=   1 cores,    1 groups",
        "\n\n" + RULE + "\n\n",
        " INCAR:",
        *(f"   {k} = {v}" for k, v in run.incar.items()),
        *(f" POTCAR:    {title}" for title in run.titles),
        (
            "   k-points           NKPTS =      1   k-points in BZ     NKDIM =      1"
            f"   number of bands    NBANDS= {run.n_bands:6d}"
        ),
        "   total plane-waves  NPLWV =  32768",
        f"   ISPIN  = {spin:6d}    spin polarized calculation?",
        "   LNONCOLLINEAR =      F non collinear calculations",
        f"   IBRION = {ibrion:6d}    ionic relax: 0-MD 1-quasi-New 2-CG",
        f"   NELECT = {run.electrons:12.4f}    total number of electrons",
        f"   volume of cell : {abs(np.linalg.det(run.cell)):11.2f}",
        "\n\n" + RULE + "\n\n",
        " k-point   1 :   0.0000 0.0000 0.0000  plane waves:    4096",
        "",
        " maximum and minimum number of plane-waves per node :      4096     4096",
        "\n",
    ]
    return "\n".join(lines)


def step(run, number, n_scf, energy, forces, stress):  # noqa: PLR0917 - what a step is
    """Return one ionic step of OUTCAR."""
    moment = float(run.script.get("moment", 0.0)) if int(run.tags["ISPIN"]) == 2 else 0.0
    text = ""
    for k in range(1, n_scf + 1):
        text += f"\n\n{'-' * 39} Iteration {number:6d}({k:4d})  {'-' * 39}\n\n\n"
        text += "      LOOP:  cpu time    0.0100: real time    0.0100\n"
    text += f" number of electron {run.electrons:15.7f} magnetization {moment:15.7f}\n\n"
    text += " E-fermi :   1.0000     XC(G=0): -10.0000     alpha+bet :-10.0000\n\n"
    v = stress
    order = (v[0, 0], v[1, 1], v[2, 2], v[0, 1], v[1, 2], v[2, 0])
    text += "  FORCE on cell =-STRESS in cart. coord.  units (eV):\n"
    text += "  in kB    " + "".join(f"{x:12.5f}" for x in order) + "\n"
    pressure = np.trace(v) / 3
    text += f"  external pressure = {pressure:11.2f} kB  Pullay stress =        0.00 kB\n\n"
    rule = " " + "-" * 83 + "\n"
    text += " POSITION                                       TOTAL-FORCE (eV/Angst)\n" + rule
    for p, f in zip(run.x, forces, strict=True):
        text += "".join(f"{x:13.5f}" for x in p) + "    "
        text += "".join(f"{x:14.6f}" for x in f) + "\n"
    text += rule + "    total drift:                          "
    text += "".join(f"{x:14.6f}" for x in forces.sum(0)) + f"\n\n\n{RULE}\n\n\n\n"
    text += "  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n" + LINE
    text += f"  free  energy   TOTEN  = {energy:18.8f} eV\n\n"
    text += f"  energy  without entropy= {energy:17.8f}  energy(sigma->0) = {energy:17.8f}\n\n\n"
    if run.dynamics is not None:
        text += _thermostat(run, number, energy)
    return text + "     LOOP+:  cpu time    0.0200: real time    0.0200\n"


def _thermostat(run, number, energy):
    md = run.dynamics
    potential, kinetic = md.nose_energies(number)
    total = energy + md.kinetic + potential + kinetic
    return (
        "  ENERGY OF THE ELECTRON-ION-THERMOSTAT SYSTEM (eV)\n" + LINE
        + f"% ion-electron   TOTEN  = {energy:17.6f}  see above\n"
        f"  kinetic energy EKIN   = {md.kinetic:17.6f}\n"
        f"  kin. lattice  EKIN_LAT=          0.000000  (temperature {md.temperature:7.2f} K)\n"
        f"  nose potential ES     = {potential:17.6f}\n"
        f"  nose kinetic   EPS    = {kinetic:17.6f}\n" + LINE
        + f"  total energy   ETOTAL = {total:17.6f} eV\n\n"
    )  # fmt: skip


def vtst_banner():
    """Return what a program with the VTST tools says of itself in the OUTCAR of each image."""
    lines = (
        " VTST: version 4.2, (05/19/21)", "", " CHAIN: initializing optimizer",
        " OPT: Using Fast-Inertial-Relaxation-Engine optimizer", " CHAIN: Read ICHAIN            0",
        " CHAIN: Running the NEB", "",
    )  # fmt: skip
    return "\n".join(lines) + "\n"


def vtst_step(forces, along):
    """Return what VTST adds to an ionic step of an image."""
    sizes = np.linalg.norm(forces, axis=1)
    return (
        f" NEB: projections on to tangent (spring, REAL) {0.0:12.6f} {along:12.6f}\n\n"
        f"  FORCES: max atom, RMS {sizes.max():12.6f} {np.sqrt((sizes**2).mean()):12.6f}\n"
    )


def chain_step(forces, along):
    """Return what VASP adds of its own elastic band, without VTST."""
    rule = " " + "-" * 46 + "\n"
    rows = "".join("".join(f"{x:13.5f}" for x in row) + "\n" for row in forces)
    text = f"  energy of chain is (eV) {0.0:16.6f} for this image {0.0:16.6f}\n"
    text += f"  tangential force (eV/A) {along:16.6f}\n"
    return text + " CHAIN + TOTAL  (eV/Angst)\n" + rule + rows + rule


def oszicar(run, number, n_scf, energy):
    """Return one ionic step of OSZICAR, which VASP also prints."""
    title = "       N       E                     dE             d eps       ncg     rms"
    rows = [title + "          rms(c)"]
    rows += [
        f"DAV: {k:3d}    {fortran(energy, width=18, digits=12)}   "
        f"{fortran(-1e-6, width=12, digits=5)}  {fortran(-1e-7, width=12, digits=5)}"
        "  1000   0.100E-02    0.200E-03"
        for k in range(1, n_scf + 1)
    ]
    free = f"F= {fortran(energy)} E0= {fortran(energy)}"
    if run.dynamics is None:
        line = f"{number:4d} {free}  d E ={fortran(0.0, width=13, digits=6)}"
    else:
        md = run.dynamics
        potential, kinetic = md.nose_energies(number)
        total = energy + md.kinetic + potential + kinetic
        line = (
            f"{number:6d} T= {md.temperature:6.0f}. E= {fortran(total)} {free}"
            f"  EK= {fortran(md.kinetic, width=12, digits=5)}"
            f" SP= {fortran(potential, width=9, digits=2)}"
            f" SK= {fortran(kinetic, width=9, digits=2)}"
        )
    if int(run.tags["ISPIN"]) == 2:
        line += f"  mag= {float(run.script.get('moment', 0.0)):9.4f}"
    return "\n".join([*rows, line]) + "\n"


def end():
    """Return what VASP writes when it ends by itself."""
    text = "\n\n General timing and accounting informations for this job:\n " + "=" * 56 + "\n\n"
    for name in ("Total CPU time used", "User time", "System time", "Elapsed time"):
        text += f"{name + ' (sec)':>43s}:{1.0:12.3f}\n"
    text += f"{'Maximum memory used (kb)':>43s}:{100000.0:12.0f}.\n"
    return text + f"{'Average memory used (kb)':>43s}:          N/A\n"
