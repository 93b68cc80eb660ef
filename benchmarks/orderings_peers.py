"""What pymatgen and shry make of disordered CIFs, in an environment that has both.

    python benchmarks/orderings_peers.py CIF ... --seconds 6

pymatgen orders a cell as it is, by the lowest Ewald energy; shry counts what is different by
symmetry. ssefw's own numbers on the same files: `python benchmarks/orderings.py FOLDER`.
"""

import argparse
import collections
import signal
import time
import warnings
from pathlib import Path

from pymatgen.core import Structure
from pymatgen.io.cif import CifParser
from pymatgen.transformations.standard_transformations import (
    OrderDisorderedStructureTransformation,
)

# shry 1.1.7 calls it by a name that pymatgen has given up.
CifParser.from_string = CifParser.from_str
from shry import LabeledStructure, Substitutor  # noqa: E402


def by_pymatgen(path):
    structure = Structure.from_file(path)
    structure.add_oxidation_state_by_guess()
    ordered = OrderDisorderedStructureTransformation().apply_transformation(structure)
    return f"{len(ordered)} atoms"


def by_shry(path):
    structure = LabeledStructure.from_file(str(path))
    return f"{Substitutor(structure).count()} arrangements"


def limited(function, path, seconds):
    """Return what a peer gives or why not, and the seconds of CPU that it took."""

    def stop(*_):
        raise TimeoutError

    signal.signal(signal.SIGPROF, stop)
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return function(path), "done", time.process_time() - start
    except TimeoutError:
        return "", "too long", seconds
    except Exception as error:  # noqa: BLE001  they refuse in many ways
        return str(error)[:90], type(error).__name__, time.process_time() - start
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cifs", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=6.0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    ends = collections.defaultdict(collections.Counter)
    for path in args.cifs:
        for name, function in (("pymatgen", by_pymatgen), ("shry", by_shry)):
            said, end, seconds = limited(function, path, args.seconds)
            ends[name][end] += 1
            print(f"{path.name:24s} {name:9s} {seconds:5.1f} s  {end} {said}", flush=True)
    for name, counts in ends.items():
        print(name, dict(counts))


if __name__ == "__main__":
    main()
