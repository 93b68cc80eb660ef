"""A band of images, as VASP with VTST moves it; without VTST it never leaves its start."""

import contextlib
import time
from pathlib import Path

import formats
import numpy as np
import outcar

SPRING = 5.0
STEP = 0.02


class Band:
    """The images between 00 and the last folder, each with output files of its own."""

    def __init__(self, make_image):
        self.incar = formats.read_incar(Path("INCAR"))
        n_free = int(self.incar["IMAGES"])
        self.ends = [make_image(Path(f"{k:02d}")) for k in (0, n_free + 1)]
        self.images = [make_image(Path(f"{k:02d}")) for k in range(1, n_free + 1)]
        self.script = self.images[0].script
        self.vtst = self.script.get("vtst", True)
        self.climb = self.vtst and formats.is_true(self.incar.get("LCLIMB", "F"))
        self.moves = self.vtst and int(self.incar.get("IOPT", 0)) > 0
        self.spring = abs(float(self.incar.get("SPRING", -SPRING)))
        self.energies = [end.potential(end.x)[0] for end in self.ends]
        self.velocities = np.zeros((n_free, *self.images[0].x.shape))

    def run(self):
        """Go through all iterations; return the exit code."""
        for folder in [image.folder for image in self.images]:
            if Path("KPOINTS").read_text() != (folder / "KPOINTS").read_text():
                print(" ERROR: KPOINTS of an image differ")  # noqa: T201
                return 1
        with contextlib.ExitStack() as stack:
            for image in self.images:
                stack.enter_context(image.opened())
                image.write_heads()
                if self.vtst:
                    image.outcar.write(outcar.vtst_banner())
            for step in range(1, int(self.incar["NSW"]) + 1):
                if self.iteration(step):
                    break
            for image in self.images:
                image.write_tails()
        Path("STOPCAR").unlink(missing_ok=True)
        time.sleep(self.script.get("linger", 0.0))
        return 0

    def iteration(self, step):
        """Evaluate and write all images; return whether it was the last iteration."""
        event = self.script.event(step)
        if event is not None:
            first = self.images[0]
            if event["do"] == "torn":  # some images are a step ahead of others
                self.write(first, step, *self.evaluate()[0])
            first.misbehave(event, step)
        time.sleep(self.script.get("step_time", 0.0))
        results = self.evaluate()
        worst = max(np.linalg.norm(force, axis=1).max() for _, force, _ in results)
        done = worst < -float(self.incar["EDIFFG"])
        stopped = any("LSTOP" in text or "LABORT" in text for text in self.stopcars())
        for image, result in zip(self.images, results, strict=True):
            unconverged = event is not None and event["do"] == "unconverged"
            self.write(image, step, *result, done=done, n_scf=image.nelm if unconverged else 3)
            image.stopped = stopped
        if not (done or stopped) and self.moves:
            self.move([force for _, force, _ in results])
        for image in self.images:
            image.write_contcar()
        return done or stopped

    def stopcars(self):
        for place in (Path(), *(image.folder for image in self.images)):
            with contextlib.suppress(OSError):
                yield (place / "STOPCAR").read_text()

    def evaluate(self):
        """Return energy, force along the band and true tangential force of each image."""
        chain = [self.ends[0], *self.images, self.ends[1]]
        found = [image.potential(image.x) for image in self.images]
        energies = [self.energies[0], *(f[0] for f in found), self.energies[1]]
        top = int(np.argmax(energies[1:-1]))
        results = []
        for k, (energy, force, _) in enumerate(found):
            before, after = (
                shortest(chain[k + 1].x - chain[k].x, chain[k].cell),
                shortest(chain[k + 2].x - chain[k + 1].x, chain[k].cell),
            )
            tangent = upwind(energies[k : k + 3], before, after)
            along = float((force * tangent).sum())
            if self.climb and k == top:
                total = force - 2.0 * along * tangent
            else:
                lengths = np.linalg.norm(after) - np.linalg.norm(before)
                total = force - along * tangent + self.spring * lengths * tangent
            results.append((energy, total, along))
        return results

    def write(self, image, step, energy, force, along, *, done=False, n_scf=3):
        stress = np.zeros((3, 3))
        text = outcar.step(image, step, n_scf, energy, force, stress)
        told = outcar.vtst_step(force, along) if self.vtst else outcar.chain_step(force, along)
        last = "     LOOP+:"
        head, found, tail = text.rpartition(last)
        accurate = " reached required accuracy - stopping structural energy minimisation\n\n"
        image.outcar.write(head + told + (accurate if done else "") + found + tail)
        image.oszicar.write(outcar.oszicar(image, step, n_scf, energy))
        image.vasprun.write(
            formats.vasprun_step(
                energy, force, stress, image.cell, image.frac, {}, [energy] * n_scf
            )
            + " </calculation>\n"
        )
        image.flush()

    def move(self, forces):
        """Damped motion of the whole band: velocities that point uphill are dropped."""
        forces = np.array(forces)
        if (self.velocities * forces).sum() < 0:
            self.velocities[:] = 0.0
        self.velocities = 0.9 * self.velocities + STEP * forces
        longest = np.abs(self.velocities).max()
        self.velocities *= min(1.0, 0.1 / longest) if longest else 1.0
        for image, step in zip(self.images, self.velocities, strict=True):
            image.x = image.x + step


def shortest(vectors, cell):
    frac = vectors @ np.linalg.inv(cell)
    return (frac - np.rint(frac)) @ cell


def upwind(energies, before, after):
    """Return the improved tangent (Henkelman and Jonsson, J. Chem. Phys. 113, 9978)."""
    left, here, right = energies
    high = max(abs(right - here), abs(left - here))
    low = min(abs(right - here), abs(left - here))
    if left < here < right:
        tangent = after
    elif left > here > right:
        tangent = before
    elif right > left:
        tangent = after * high + before * low
    else:
        tangent = after * low + before * high
    return tangent / np.linalg.norm(tangent)
