"""Time and memory of a trajectory that does not fit into memory: XDATCAR to D.

Writes an XDATCAR of a given size (200 atoms, 64 of them mobile; the walk is repeated, which is no
physics, but the same work), analyzes it in a process of its own, and prints that process's peak
memory. Sizes of which one is a multiple of the other tell whether memory grows.

    python benchmarks/streaming.py --gigabytes 1 4
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from analysis import N_ATOMS, N_IONS, system, write_xdatcar

FRAMES_OF_A_PART = 15_000

FROM_FILE = """
import pathlib, sys, time
from ssefw.analysis import estimate_diffusivity
from ssefw.analysis.readers import read_frames
begin = time.process_time(), time.perf_counter()
frames = read_frames(sys.argv[1], timestep=20.0, stride=1)
read = time.process_time(), time.perf_counter()
estimate_diffusivity(frames, temperature=900.0)
end = time.process_time(), time.perf_counter()
status = pathlib.Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(read[0] - begin[0], end[0] - read[0], end[1] - begin[1], peak, frames.n_frames)
"""


def write(path, gigabytes):
    """Write the trajectory again and again until the file is large enough; return the frames."""
    write_xdatcar(system(), path)
    text = path.read_bytes()
    body = text[text.index(b"Direct configuration=") :]
    n_parts = max(1, round(gigabytes * 1e9 / len(body)))
    with path.open("ab") as file:
        for _ in range(n_parts - 1):
            file.write(body)
    return n_parts * FRAMES_OF_A_PART


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.2, 0.8])
    parser.add_argument("--folder", type=Path, help="Where the file is written for the time.")
    arguments = parser.parse_args()
    print(f"{N_ATOMS} atoms, {N_IONS} mobile")
    print(
        f"{'GB':>6s} {'frames':>9s} {'kept':>7s} {'read, CPU s':>12s} {'MB/s':>6s} "
        f"{'analyze, CPU s':>15s} {'wall s':>7s} {'peak MB':>8s}"
    )
    for gigabytes in arguments.gigabytes:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            path = Path(folder) / "XDATCAR"
            n_frames = write(path, gigabytes)
            size = path.stat().st_size
            done = subprocess.run(
                [sys.executable, "-c", FROM_FILE, str(path)],
                capture_output=True,
                text=True,
                check=True,
            )
        read, analyze, wall, peak, kept = map(float, done.stdout.split())
        print(
            f"{size / 1e9:6.2f} {n_frames:9d} {kept:7.0f} {read:12.1f} {size / 1e6 / read:6.0f} "
            f"{analyze:15.2f} {wall:7.0f} {peak:8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
