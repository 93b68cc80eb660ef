"""What is written here although a package has it, beside that package.

    pip install fastcluster
    python benchmarks/own_code.py [ward metrics decimals] [--rows 2000]

``ward`` is the clustering of a pool by Ward's criterion beside `fastcluster.linkage_vector` (time
and memory beyond the rows, each in a process of its own), ``metrics`` the measures of a classifier
beside scikit-learn's, ``decimals`` rows of numbers out of text beside numpy's ways. Times are of
the CPU.
"""

import argparse
import io
import multiprocessing
import resource
import time
from collections.abc import Callable

import numpy as np

rng = np.random.default_rng(0)


def seconds(function: Callable[[], object], repeats: int = 1) -> float:
    """Return the CPU seconds of a call."""
    began = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - began) / repeats


def _cluster(name: str, n: int) -> tuple[float, float, float]:
    rows = rng.normal(size=(n, 360)) * np.geomspace(1, 0.01, 360)
    if name == "ours":
        from ssefw.screening.clustering.ward import build_tree

        build_tree(rows[:50])  # compiled
        heights = []
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        used = seconds(lambda: heights.append(build_tree(rows).heights))
    else:
        import fastcluster

        heights = []
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        used = seconds(lambda: heights.append(fastcluster.linkage_vector(rows, "ward")[:, 2]))
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return used, more, float(heights[0].sum())


def ward(n: int) -> None:
    """Compare trees of rows of 360 numbers."""
    found = {}
    for name in ("ours", "fastcluster"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found[name] = pool.apply(_cluster, (name, n))
    ours, theirs = found["ours"], found["fastcluster"]
    for name, (used, more, heights) in found.items():
        print(f"{n} x 360 {name:12s} {used:8.2f} s {more:6.0f} MB, heights {heights:.4f}")
    print(f"fastcluster / ours: {theirs[0] / ours[0]:.1f}")


def metrics(_n: int) -> None:
    """Compare the measures of 600 labels, which an interval takes a thousand times."""
    from sklearn import metrics as sk

    from ssefw.screening.evaluation.metrics import METRICS

    y = (rng.random(600) < 0.3).astype(int)
    p = np.clip(0.3 * y + rng.random(600) * 0.7, 0.0, 1.0)
    of_answers = {
        "mcc": sk.matthews_corrcoef,
        "accuracy": sk.accuracy_score,
        "balanced_accuracy": sk.balanced_accuracy_score,
        "precision": sk.precision_score,
        "recall": sk.recall_score,
        "f1": sk.f1_score,
    }
    of_scores = {
        "auc_pr": sk.average_precision_score,
        "auc_roc": sk.roc_auc_score,
        "brier": sk.brier_score_loss,
    }
    total = np.zeros(2)
    for name, theirs in (of_answers | of_scores).items():
        given = p >= 0.5 if name in of_answers else p
        assert abs(theirs(y, given) - METRICS[name](y, p)) < 1e-12, name
        total += (
            seconds(lambda n=name: METRICS[n](y, p), 100),
            seconds(lambda f=theirs, g=given: f(y, g), 100),
        )
    print(f"nine measures of 600 labels: ours {1e3 * total[0]:.2f} ms, "
          f"scikit-learn {1e3 * total[1]:.1f} ms, {total[1] / total[0]:.0f} times")  # fmt: skip


def decimals(_n: int) -> None:
    """Compare readings of 100,000 rows of three numbers."""
    from ssefw.analysis.readers.decimals import parse_rows

    rows = rng.normal(size=(100_000, 3))
    text = "\n".join(" {:.8f} {:.8f} {:.8f}".format(*row) for row in rows) + "\n"
    body = text.encode()
    parse_rows(body, 10, 3)  # compiled
    ours = seconds(lambda: parse_rows(body, len(rows), 3))
    for name, theirs in {
        "numpy.fromstring": lambda: np.fromstring(text, sep=" ").reshape(-1, 3),
        "numpy.loadtxt": lambda: np.loadtxt(io.StringIO(text)),
        "numpy.array(text.split())": lambda: np.array(text.split(), dtype=float).reshape(-1, 3),
    }.items():
        used = seconds(theirs)
        print(f"{name:26s} {1e3 * used:6.0f} ms, ours {1e3 * ours:.0f} ms, {used / ours:.1f} times")


def main() -> None:
    """Run the parts that are asked for."""
    parts = {"ward": ward, "metrics": metrics, "decimals": decimals}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=list(parts))
    parser.add_argument("--rows", type=int, default=2000, help="of the clustering")
    arguments = parser.parse_args()
    for name in arguments.parts:
        parts[name](arguments.rows)


if __name__ == "__main__":
    main()
