"""The run itself: input files in, ionic steps, output files out, misbehavior on request."""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import formats
import numpy as np
import outcar
from band import Band
from physics import MASSES, VALENCE, Dynamics, LennardJones

KBAR = 1602.1766  # eV/A^3 in kBar

DEFAULTS = {
    "ALGO": "Normal", "EDIFF": 1e-4, "EDIFFG": -0.05, "ENCUT": 400.0, "ENMAX": 400.0, "IALGO": 38,
    "IBRION": -1, "ICHARG": 2, "ISIF": 2, "ISMEAR": 1, "ISPIN": 1, "ISTART": 0, "ISYM": 2,
    "LCHARG": "T", "LDAU": "F", "LEPSILON": "F", "LHFCALC": "F", "LNONCOLLINEAR": "F",
    "LOPTICS": "F", "LORBIT": 0, "LSORBIT": "F", "LWAVE": "T", "METAGGA": "--", "NELM": 60,
    "NELMDL": -5, "NELMIN": 2, "NSW": 0, "POTIM": 0.5, "PREC": "normal", "SIGMA": 0.2,
    "SMASS": -3.0, "TEBEG": 0.0001,
}  # fmt: skip


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


def say(text):
    """Print to stdout at once, as VASP does."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def die(code, last_words=""):
    """Exit at once, leaving the files as they are."""
    sys.stderr.write(last_words)
    sys.stderr.flush()
    os._exit(code)


def sleep_forever():
    while True:
        time.sleep(3600)


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


def read_titles():
    """Return the POTCAR titles in POSCAR order; VASP stops without a POTCAR."""
    if Path("POTCAR").exists():
        lines = Path("POTCAR").read_text().splitlines()
        return [line.split("=")[1].strip() for line in lines if line.strip().startswith("TITEL")]
    if Path("POTCAR.spec").exists():
        return [f"PAW_PBE {n} 01Jan2000" for n in Path("POTCAR.spec").read_text().split()]
    say(" ERROR: there must be a POTCAR file in the working directory")
    sys.exit(1)


def read_kpoints():
    if not Path("KPOINTS").exists():
        return [1, 1, 1]
    return [int(float(x)) for x in Path("KPOINTS").read_text().splitlines()[3].split()[:3]]


class Simulation:
    """One run of the program: input files of the working directory, all else in a folder."""

    def __init__(self, folder=Path()):
        self.folder = folder
        self.script = Script()
        self.incar = formats.read_incar(Path("INCAR"))
        poscar = formats.read_poscar(folder / "POSCAR")
        self.symbols, self.counts, self.cell, frac, velocities, nose = poscar
        if self.script.get("ignore_velocities", False):
            velocities, nose = None, (0.0, 0.0)
        self.titles = read_titles()
        self.kpoints = read_kpoints()
        pairs = zip(self.symbols, self.counts, strict=True)
        self.names = [s for s, c in pairs for _ in range(c)]
        self.x = frac @ self.cell
        self.drift = np.zeros_like(self.x)
        self.potential = LennardJones(self.names, self.cell)
        self.electrons = float(sum(VALENCE[s] for s in self.names))
        self.n_bands = int(self.electrons // 2 + max(4, len(self.names) // 2))
        self.tags = DEFAULTS | {"NELECT": self.electrons, "NBANDS": self.n_bands} | self.incar
        self.nsw, self.nelm = int(self.tags["NSW"]), int(self.tags["NELM"])
        self.comment = (folder / "POSCAR").read_text().splitlines()[0]
        self.stopped = False
        self.dynamics = None
        if int(self.tags["IBRION"]) == 0 and self.nsw > 0:
            self.dynamics = Dynamics(
                np.array([MASSES[s] for s in self.names]),
                incar=self.incar,
                steps=self.nsw,
                velocities=velocities,
                nose=nose,
                seed=int(float(self.incar.get("RANDOM_SEED", "1").split()[0])),
            )

    @property
    def frac(self):
        return self.x @ np.linalg.inv(self.cell)

    def run(self):
        """Go through all ionic steps; return the exit code."""
        say(" running on    1 total cores\n vasp.6.4.2 20Jul23 (fake) complex\n")
        with self.opened():
            self.write_heads()
            say(" entering main loop")
            for step in range(1, max(1, self.nsw) + 1):
                if self.ionic_step(step):
                    break
            if self.stopped:
                Path("STOPCAR").unlink(missing_ok=True)
            self.write_tails()
        time.sleep(self.script.get("linger", 0.0))
        return 0

    @contextlib.contextmanager
    def opened(self):
        """Open the output files."""
        with (
            (self.folder / "OUTCAR").open("w") as self.outcar,
            (self.folder / "OSZICAR").open("w") as self.oszicar,
            (self.folder / "vasprun.xml").open("w") as self.vasprun,
            (self.folder / "XDATCAR").open("w") as self.xdatcar,
        ):
            yield

    def write_tails(self):
        if self.stopped:
            self.outcar.write("\n\n soft stop encountered!  aborting job ...\n\n")
        self.outcar.write(outcar.end())
        self.vasprun.write(formats.vasprun_tail(self.cell, self.frac))

    def flush(self):
        for file in (self.outcar, self.oszicar, self.vasprun, self.xdatcar):
            file.flush()
        sys.stdout.flush()

    def write_heads(self):
        self.outcar.write(outcar.head(self))
        self.vasprun.write(formats.vasprun_head(self))
        header = formats.xdatcar_header(self.comment, self.symbols, self.counts, self.cell)
        self.xdatcar.write(header)
        self.flush()

    def ionic_step(self, step):
        """Evaluate and write one ionic step, then move on; return whether it was the last."""
        event = self.script.event(step)
        if event is not None:
            self.misbehave(event, step)
        time.sleep(self.script.get("step_time", 0.0))
        energy, forces, virial = self.potential(self.x)
        if stop_requested() == "LABORT":
            # The electrons are not converged: energy and forces are wrong.
            energy, forces = energy + 5.0, 3.0 * forces
            rule = "-" * 29
            self.outcar.write(f"\n{rule} aborting loop because hard stop was set {rule}\n\n")
            say(" hard stop encountered!  aborting job ...")
        if self.dynamics is not None and step > 1:
            self.dynamics.finish(forces)
        stress = virial / abs(np.linalg.det(self.cell)) * KBAR
        unconverged = event is not None and event["do"] == "unconverged"
        n_scf = self.nelm if unconverged else 3
        self.outcar.write(outcar.step(self, step, n_scf, energy, forces, stress))
        lines = outcar.oszicar(self, step, n_scf, energy)
        self.oszicar.write(lines)
        sys.stdout.write(lines)
        block = formats.vasprun_step(
            energy, forces, stress, self.cell, self.frac, self.md_energies(step, energy),
            [energy] * n_scf,
        )  # fmt: skip
        self.vasprun.write(block)
        self.stopped = stop_requested() is not None
        last = step >= self.nsw or self.stopped or self.is_relaxed(forces, stress)
        if last:
            self.vasprun.write(self.bands())
        self.vasprun.write(" </calculation>\n")
        self.xdatcar.write(formats.xdatcar_frame(step, self.frac))
        if self.script.get("contcar", "at") == "at":
            self.write_contcar()
        self.move(step, forces, virial, last=last)
        if self.script.get("contcar", "at") == "ahead":
            self.write_contcar()
        self.flush()
        return last

    def md_energies(self, step, energy):
        if self.dynamics is None:
            return {}
        potential, kinetic = self.dynamics.nose_energies(step)
        return {
            "kinetic": self.dynamics.kinetic,
            "lattice kinetic": 0.0,
            "nosepot": potential,
            "nosekinetic": kinetic,
            "total": energy + self.dynamics.kinetic + potential + kinetic,
        }

    def is_relaxed(self, forces, stress):
        if self.dynamics is not None or self.nsw == 0:
            return False
        edge = float(self.tags["EDIFFG"])
        pressed = int(self.tags["ISIF"]) == 3 and abs(np.trace(stress)) / 3 > 2.0
        worst = float(np.linalg.norm(forces, axis=1).max())
        return worst < (-edge if edge < 0 else 0.05) and not pressed

    def move(self, step, forces, virial, *, last):
        if self.dynamics is not None:
            self.x = self.dynamics.move(self.x, forces, step)
        elif not last:
            # Damped motion: a velocity that points uphill is dropped.
            keep = 0.8 * self.drift if (self.drift * forces).sum() > 0 else 0.0
            self.drift = keep + 0.02 * forces
            self.x = self.x + self.drift
            if int(self.tags["ISIF"]) == 3:
                pressure = np.trace(virial) / (3 * abs(np.linalg.det(self.cell)))
                grow = 1.0 + np.clip(0.3 * pressure, -0.02, 0.02)
                self.cell, self.x = self.cell * grow, self.x * grow
                self.potential = LennardJones(self.names, self.cell)

    def bands(self):
        """Return bands with a gap in the middle."""
        gap = float(self.script.get("gap", 4.0))
        filled = int(self.electrons // 2)
        empty = self.n_bands - filled
        levels = np.concatenate(
            [np.linspace(-8.0, -gap / 2, filled), np.linspace(gap / 2, 6.0, empty)]
        )
        occupied = np.array([1.0] * filled + [0.0] * empty)
        return formats.vasprun_bands(levels, occupied, 0.0, int(self.tags["ISPIN"]))

    def write_contcar(self):
        text = formats.contcar(
            self.comment, self.symbols, self.counts, self.cell, self.frac, self.dynamics
        )
        (self.folder / "CONTCAR").write_text(text)

    def misbehave(self, event, step):
        """Do what an event asks for before ionic step `step` is written."""
        self.flush()
        action = event["do"]
        if action == "say":
            say(event["text"])
            action = event.get("then", "go on")
        if action == "hang":
            sleep_forever()
        if action == "deaf":  # neither works nor dies of SIGTERM
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            sleep_forever()
        if action == "exit":
            die(event.get("code", 1), event.get("stderr", ""))
        if action == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if action == "full":
            die(38, "forrtl: No space left on device\nforrtl: severe (38): error during write\n")
        if action == "torn":
            self.vasprun.write(" <calculation>\n  <scstep>\n")
            self.flush()
            contcar = self.folder / "CONTCAR"
            contcar.write_text(contcar.read_text()[:500] if step > 1 else "")
            os._exit(9)


def main():
    """Run in the working directory."""
    if "IMAGES" in formats.read_incar(Path("INCAR")):
        return Band(Simulation).run()
    return Simulation().run()
