"""The run itself: input files in, ionic steps, output files out, misbehavior on request."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import formats
import numpy as np
from physics import MASSES, VALENCE, Dynamics, LennardJones

KBAR = 1602.1766  # eV/A^3 in kBar


class Script:
    """What the file named by FAKE_VASP asks for: `events`, and settings for the whole run."""

    def __init__(self):
        self.path = Path(os.environ["FAKE_VASP"]) if "FAKE_VASP" in os.environ else None
        self.settings = json.loads(self.path.read_text()) if self.path else {}

    def get(self, name, default):
        return self.settings.get(name, default)

    def event(self, step):
        """Return the first event if it is due at ionic step `step`, and take it off the list."""
        events = self.settings.get("events", [])
        if not events or events[0]["step"] != step:
            return None
        first = events.pop(0)
        partial = self.path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(self.settings))
        partial.replace(self.path)
        return first


class Outputs:
    """The open output files of a run."""

    def __init__(self):
        self.outcar = Path("OUTCAR").open("w")
        self.oszicar = Path("OSZICAR").open("w")
        self.vasprun = Path("vasprun.xml").open("w")
        self.xdatcar = Path("XDATCAR").open("w")

    def flush(self):
        for file in (self.outcar, self.oszicar, self.vasprun, self.xdatcar):
            file.flush()
        sys.stdout.flush()


def say(text):
    print(text, flush=True)


def read_titles(symbols):
    """Return the POTCAR titles in POSCAR order; VASP stops without a POTCAR."""
    if Path("POTCAR").exists():
        lines = Path("POTCAR").read_text().splitlines()
        return [line.split("=")[1].strip() for line in lines if line.strip().startswith("TITEL")]
    if Path("POTCAR.spec").exists():
        names = Path("POTCAR.spec").read_text().split()
        return [f"PAW_PBE {name} 01Jan2000" for name in names]
    say(" ERROR: there must be a POTCAR file in the working directory")
    sys.exit(1)


def read_kpoints():
    if not Path("KPOINTS").exists():
        return [1, 1, 1]
    lines = Path("KPOINTS").read_text().splitlines()
    return [int(float(x)) for x in lines[3].split()[:3]]


def misbehave(event, out, step):
    """Do what an event asks for before ionic step `step` is written."""
    out.flush()
    action = event["do"]
    if action == "say":
        say(event["text"])
        action = event.get("then", "go on")
    if action == "hang":
        while True:
            time.sleep(3600)
    if action == "deaf":  # a process that neither works nor dies of SIGTERM
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(3600)
    if action == "exit":
        sys.stderr.write(event.get("stderr", ""))
        sys.stderr.flush()
        os._exit(event.get("code", 1))
    if action == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "full":
        sys.stderr.write(
            "forrtl: No space left on device\n"
            "forrtl: severe (38): error during write, unit 8, file OUTCAR\n"
        )
        sys.stderr.flush()
        os._exit(38)


def stop_requested():
    """Return LSTOP or LABORT if a STOPCAR asks for one."""
    try:
        tags = formats.read_incar(Path("STOPCAR"))
    except OSError:
        return None
    for name in ("LABORT", "LSTOP"):
        if formats.is_true(tags.get(name, "F")):
            return name
    return None


def write_head(out, incar, titles, symbols, counts, cell, kpoints, n_bands, n_electrons):
    o = out.outcar
    o.write(" vasp.6.4.2 20Jul23 (fake) complex\n")
    o.write(" executed on             LinuxGNU date 2026.01.01  00:00:00\n")
    o.write(" running on    1 total cores\n distrk:  each k-point on    1 cores,    1 groups\n")
    o.write(" distr:  one band on NCORE=   1 cores,    1 groups\n\n\n" + "-" * 104 + "\n\n\n INCAR:\n")
    o.write("".join(f"   {k} = {v}\n" for k, v in incar.items()))
    o.write("".join(f" POTCAR:    {title}\n" for title in titles))
    o.write(f"   k-points           NKPTS =      1   k-points in BZ     NKDIM =      1")
    o.write(f"   number of bands    NBANDS= {n_bands:6d}\n")
    o.write("   total plane-waves  NPLWV =  32768\n")
    o.write(f"   ISPIN  = {int(incar.get('ISPIN', 1)):6d}    spin polarized calculation?\n")
    o.write("   LNONCOLLINEAR =      F non collinear calculations\n")
    o.write(f"   IBRION = {int(incar.get('IBRION', -1)):6d}    ionic relax: 0-MD 1-quasi-New 2-CG\n")
    o.write(f"   NELECT = {n_electrons:12.4f}    total number of electrons\n")
    o.write(f"   volume of cell : {abs(np.linalg.det(cell)):11.2f}\n\n\n")
    o.write("-" * 104 + "\n\n\n k-point   1 :   0.0000 0.0000 0.0000  plane waves:    4096\n\n")
    o.write(" maximum and minimum number of plane-waves per node :      4096     4096\n\n")


def write_step(out, step, n_scf, energy, forces, positions, stress, dynamics, mag):
    """Write one ionic step to OUTCAR and OSZICAR."""
    o = out.outcar
    for k in range(1, n_scf + 1):
        o.write(f"\n\n{'-' * 39} Iteration {step:6d}({k:4d})  {'-' * 39}\n\n\n")
        o.write("      LOOP:  cpu time    0.0100: real time    0.0100\n")
    o.write(f" number of electron {_ELECTRONS[0]:15.7f} magnetization {mag:15.7f}\n\n")
    o.write(f" E-fermi :{1.0:9.4f}     XC(G=0): -10.0000     alpha+bet :-10.0000\n\n")
    o.write("  FORCE on cell =-STRESS in cart. coord.  units (eV):\n")
    v = stress
    order = (v[0, 0], v[1, 1], v[2, 2], v[0, 1], v[1, 2], v[2, 0])
    o.write("  in kB    " + "".join(f"{x:12.5f}" for x in order) + "\n")
    o.write(f"  external pressure = {np.trace(v) / 3:11.2f} kB  Pullay stress =        0.00 kB\n\n")
    o.write(" POSITION                                       TOTAL-FORCE (eV/Angst)\n " + "-" * 83 + "\n")
    for p, f in zip(positions, forces, strict=True):
        o.write("".join(f"{x:13.5f}" for x in p) + "    " + "".join(f"{x:14.6f}" for x in f) + "\n")
    o.write(" " + "-" * 83 + "\n    total drift:                          ")
    o.write("".join(f"{x:14.6f}" for x in forces.sum(0)) + "\n\n\n" + "-" * 104 + "\n\n\n\n")
    o.write("  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n  " + "-" * 51 + "\n")
    o.write(f"  free  energy   TOTEN  = {energy:18.8f} eV\n\n")
    o.write(f"  energy  without entropy= {energy:17.8f}  energy(sigma->0) = {energy:17.8f}\n\n\n")
    ionic = f"{step:6d}"
    if dynamics is None:
        line = f"{step:4d} F= {formats.fortran(energy)} E0= {formats.fortran(energy)}  d E ={formats.fortran(0.0, width=13, digits=6)}"
    else:
        potential, kinetic = dynamics.nose_energies(step)
        total = energy + dynamics.kinetic + potential + kinetic
        o.write("  ENERGY OF THE ELECTRON-ION-THERMOSTAT SYSTEM (eV)\n  " + "-" * 51 + "\n")
        o.write(f"% ion-electron   TOTEN  = {energy:17.6f}  see above\n")
        o.write(f"  kinetic energy EKIN   = {dynamics.kinetic:17.6f}\n")
        o.write(f"  kin. lattice  EKIN_LAT=          0.000000  (temperature {dynamics.temperature:7.2f} K)\n")
        o.write(f"  nose potential ES     = {potential:17.6f}\n")
        o.write(f"  nose kinetic   EPS    = {kinetic:17.6f}\n  " + "-" * 51 + "\n")
        o.write(f"  total energy   ETOTAL = {total:17.6f} eV\n\n")
        line = (
            f"{ionic} T= {dynamics.temperature:6.0f}. E= {formats.fortran(total)} F= {formats.fortran(energy)} "
            f"E0= {formats.fortran(energy)}  EK= {formats.fortran(dynamics.kinetic, width=12, digits=5)} "
            f"SP= {formats.fortran(potential, width=9, digits=2)} SK= {formats.fortran(kinetic, width=9, digits=2)}"
        )
    if mag is not None and _SPIN[0] == 2:
        line += f"  mag= {mag:9.4f}"
    o.write("     LOOP+:  cpu time    0.0200: real time    0.0200\n")
    head = "       N       E                     dE             d eps       ncg     rms          rms(c)"
    rows = [head]
    for k in range(1, n_scf + 1):
        rows.append(
            f"DAV: {k:3d}    {formats.fortran(energy, width=18, digits=12)}   {formats.fortran(-1e-6, width=12, digits=5)}"
            f"  {formats.fortran(-1e-7, width=12, digits=5)}  1000   0.100E-02    0.200E-03"
        )
    for row in (*rows, line):
        out.oszicar.write(row + "\n")
        print(row)


_ELECTRONS = [0.0]
_SPIN = [1]


def main():
    script = Script()
    incar = formats.read_incar(Path("INCAR"))
    symbols, counts, cell, frac, velocities, nose = formats.read_poscar(Path("POSCAR"))
    titles = read_titles(symbols)
    kpoints = read_kpoints()
    names = [s for s, c in zip(symbols, counts, strict=True) for _ in range(c)]
    masses = np.array([MASSES[s] for s in names])
    electrons = float(sum(VALENCE[s] for s in names))
    n_bands = int(electrons // 2 + max(4, len(names) // 2))
    nsw, ibrion = int(incar.get("NSW", 0)), int(incar.get("IBRION", -1))
    n_spins = _SPIN[0] = int(incar.get("ISPIN", 1))
    _ELECTRONS[0] = electrons
    moment = float(script.get("moment", 0.0)) if n_spins == 2 else 0.0
    nelm = int(incar.get("NELM", 60))
    seed = int(float(incar.get("RANDOM_SEED", "1").split()[0]))

    say(" running on    1 total cores\n vasp.6.4.2 20Jul23 (fake) complex\n")
    say(" POSCAR found type information on POSCAR " + "".join(f"{s:<3s}" for s in symbols))
    out = Outputs()
    write_head(out, incar, titles, symbols, counts, cell, kpoints, n_bands, electrons)
    parameters = {
        "NSW": nsw, "IBRION": ibrion, "NELM": nelm, "EDIFF": 1e-4, "EDIFFG": -0.05, "ISMEAR": 1,
        "SIGMA": 0.2, "ISPIN": n_spins, "NELECT": electrons, "NBANDS": n_bands, "LHFCALC": "F",
        "ISIF": 2, "POTIM": 0.5, "SMASS": -3.0, "TEBEG": 0.0001, "ALGO": "Normal", "ENCUT": 400.0,
        "NELMDL": -5, "NELMIN": 2, "ISYM": 2, "LDAU": "F", "METAGGA": "--", "PREC": "normal",
        "LCHARG": "T", "LWAVE": "T", "LORBIT": 0, "ENMAX": 400.0, "LEPSILON": "F", "LOPTICS": "F",
        "LSORBIT": "F", "LNONCOLLINEAR": "F", "ISTART": 0, "ICHARG": 2, "IALGO": 38,
    } | incar  # fmt: skip
    valences = [VALENCE[s] for s in symbols]
    kinds = [MASSES[s] for s in symbols]
    out.vasprun.write(
        formats.vasprun_head(incar, parameters, symbols, counts, titles, kinds, valences, cell, frac, kpoints)
    )
    comment = Path("POSCAR").read_text().splitlines()[0]
    out.xdatcar.write(formats.xdatcar_header(comment, symbols, counts, cell))
    out.flush()
    say(" entering main loop")

    potential = LennardJones(names, cell)
    if script.get("ignore_velocities", False):
        velocities, nose = None, (0.0, 0.0)
    x = frac @ cell
    md = ibrion == 0 and nsw > 0
    dynamics = None
    if md:
        dynamics = Dynamics(
            masses, potential, incar=incar, steps=nsw, velocities=velocities, nose=nose, seed=seed
        )
    drift = np.zeros_like(x)  # the relaxation's velocity
    pace = float(script.get("step_time", 0.0))
    fresh = True
    soft_stop = False
    for step in range(1, max(1, nsw) + 1):
        if (event := script.event(step)) is not None and event["do"] != "unconverged":
            misbehave(event, out, step)
            if event["do"] == "torn":
                out.vasprun.write(" <calculation>\n  <scstep>\n")
                out.flush()
                Path("CONTCAR").write_text(Path("CONTCAR").read_text()[:500] if step > 1 else "")
                os._exit(9)
        if pace:
            time.sleep(pace)
        energy, forces, virial = potential(x)
        aborted = stop_requested() == "LABORT"
        if aborted:  # the electrons are not converged: energy and forces are wrong
            energy, forces = energy + 5.0, 3.0 * forces
            out.outcar.write("\n hard stop encountered!  aborting job ...\n\n")
        if dynamics is not None and not fresh:
            dynamics.finish(forces)
        fresh = False
        stress = virial / abs(np.linalg.det(cell)) * KBAR
        n_scf = nelm if event is not None or script.get("unconverged", False) else 3
        write_step(out, step, n_scf, energy, forces, x, stress, dynamics, moment)
        extra = {}
        if dynamics is not None:
            es, eps = dynamics.nose_energies(step)
            extra = {
                "kinetic": dynamics.kinetic, "lattice kinetic": 0.0, "nosepot": es,
                "nosekinetic": eps, "total": energy + dynamics.kinetic + es + eps,
            }  # fmt: skip
        here = x @ np.linalg.inv(cell)
        out.vasprun.write(
            formats.vasprun_step(energy, forces, stress, cell, here, extra, [energy] * n_scf)
        )
        done = step >= nsw or stop_requested() is not None
        if dynamics is None and nsw > 0:
            edge = float(incar.get("EDIFFG", -0.05))
            worst = float(np.linalg.norm(forces, axis=1).max())
            pressed = int(incar.get("ISIF", 2)) == 3 and abs(np.trace(stress)) / 3 > 2.0
            done = done or (edge < 0 and worst < -edge and not pressed)
        soft_stop = stop_requested() is not None
        if done:
            gap = float(script.get("gap", 4.0))
            filled = int(electrons // 2)
            levels = np.concatenate(
                [np.linspace(-8.0, -gap / 2, filled), np.linspace(gap / 2, 6.0, n_bands - filled)]
            )
            occupied = np.array([1.0] * filled + [0.0] * (n_bands - filled))
            out.vasprun.write(formats.vasprun_bands(levels, occupied, 0.0, n_spins))
        out.vasprun.write(" </calculation>\n")
        out.xdatcar.write(formats.xdatcar_frame(step, here))
        if script.get("contcar", "at") == "at":
            Path("CONTCAR").write_text(formats.contcar(comment, symbols, counts, cell, here, dynamics))
        if dynamics is not None:
            x = dynamics.move(x, forces, step)
        elif nsw > 0 and not done:
            # Damped motion: a velocity that points uphill is dropped.
            push = 0.02 * forces
            drift = np.where((drift * forces).sum() > 0, 0.8 * drift, 0.0) + push
            x = x + drift
            if int(incar.get("ISIF", 2)) == 3:
                pressure = np.trace(virial) / (3 * abs(np.linalg.det(cell)))
                grow = 1.0 + np.clip(pressure * 0.3, -0.02, 0.02)
                cell, x = cell * grow, x * grow
                potential = LennardJones(names, cell)
        if script.get("contcar", "at") == "ahead":
            ahead = x @ np.linalg.inv(cell)
            Path("CONTCAR").write_text(formats.contcar(comment, symbols, counts, cell, ahead, dynamics))
        out.flush()
        if done:
            break
    if soft_stop:
        out.outcar.write("\n\n soft stop encountered!  aborting job ...\n\n")
        Path("STOPCAR").unlink(missing_ok=True)
    finish(out, cell, x)
    if script.get("linger", 0.0):
        time.sleep(script.get("linger", 0.0))
    return 0


def finish(out, cell, x):
    """Write what VASP writes when it ends by itself."""
    o = out.outcar
    o.write("\n\n General timing and accounting informations for this job:\n " + "=" * 56 + "\n\n")
    for name in ("Total CPU time used (sec)", "User time (sec)", "System time (sec)", "Elapsed time (sec)"):
        o.write(f"{name:>43s}:{1.0:12.3f}\n")
    o.write(f"{'Maximum memory used (kb)':>43s}:{100000.0:12.0f}.\n")
    o.write(f"{'Average memory used (kb)':>43s}:          N/A\n")
    out.vasprun.write(formats.vasprun_tail(cell, x @ np.linalg.inv(cell)))
    out.flush()
