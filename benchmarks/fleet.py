"""Status, feeding and dispatch of a large campaign, beside FireWorks' own loop.

    python benchmarks/fleet.py [--candidates 1000] [--jobs 200]

The status of a campaign is asked as `ssefw status --json` does; a look of the launcher is one round
with programs that keep a queue in a folder. Dispatch is the time between two jobs that do nothing:
in `ssefw work`, and in FireWorks' `rapidfire` on the same launch pad.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from campaign_scale import write_pool

QUEUE = {
    "sbatch": "n=$(ls {queue} | wc -l); echo PENDING > {queue}/$((n+1)); echo $((n+1))",
    "squeue": (
        'for i in $(echo "$3" | tr , " "); do '
        '[ -e {queue}/$i ] && echo "$i|$(cat {queue}/$i)|None"; done; exit 0'
    ),
    "scontrol": "echo JobState=COMPLETED",
    "scancel": "exit 0",
}


@contextlib.contextmanager
def measured(what):
    """Print how long a block took."""
    start = time.perf_counter()
    yield
    print(f"{what:58} {time.perf_counter() - start:8.3f} s", file=sys.stderr)


def put_queue(folder):
    """Put programs first on the PATH that keep a queue in a folder."""
    programs, queue = folder / "programs", folder / "queue"
    programs.mkdir()
    queue.mkdir()
    for name, text in QUEUE.items():
        (programs / name).write_text(f"#!/bin/sh\n{text.format(queue=queue)}\n")
        (programs / name).chmod(0o755)
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"


def campaign(folder, count):
    """Submit a campaign, ask for its status, and let the launcher look."""
    from ssefw.campaigns.file import read_campaign
    from ssefw.campaigns.planning.plan import make_plan
    from ssefw.campaigns.queueing.fleet import fleet
    from ssefw.campaigns.queueing.launcher import Launcher
    from ssefw.campaigns.queueing.site import QueueLimits, Site
    from ssefw.campaigns.running.submission import submit
    from ssefw.campaigns.running.watch import latest_record, snapshot
    from ssefw.store import connect

    write_pool(folder, count)
    plan = make_plan(read_campaign(folder / "scale.yaml"))
    with connect(folder / "st") as connection:
        with measured(f"submission of {len(plan.candidates)} candidates"):
            submit(plan, connection)
        record = latest_record(connection, "scale")
        with measured("snapshot (stages, running, spending)"):
            now = snapshot(connection, record, folder)
        print(f"{sum(now.stages.values())} jobs on the launch pad")
        with measured("fleet (queue jobs, failures by cause)"):
            fleet(connection, "scale")
        feeder = Launcher(connection, Site(scheduler="slurm"), folder / "jobs", QueueLimits(jobs=5))
        with measured("a round of the launcher with 5 submissions"):
            feeder.round()
        with measured("a round of the launcher with nothing to do"):
            feeder.round()
    with (
        measured("ssefw status --json, in this process"),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        from ssefw.cli import main

        with contextlib.suppress(SystemExit):
            main(["--store", str(folder / "st"), "status", "--json"])


def dispatch(folder, count):
    """Run jobs that do nothing by our worker and by FireWorks' own loop."""
    from fireworks import Firework, FWorker, PyTask
    from fireworks.core.rocket_launcher import rapidfire

    from ssefw.campaigns.running.worker import work
    from ssefw.settings import Settings
    from ssefw.store import connect

    times = {}
    for name in ("rapidfire", "ssefw work"):
        with connect(folder / name.replace(" ", "-")) as connection:
            for number in range(count):
                task = PyTask(func="time.sleep", args=[0])
                connection.launchpad.add_wf(Firework(task, {"campaign": "c"}, name=f"j{number}"))
            start = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.chdir(folder):
                if name == "rapidfire":
                    rapidfire(connection.launchpad, FWorker(), strm_lvl="CRITICAL", sleep_time=0,
                              nlaunches=count)  # fmt: skip
                else:
                    work(connection, Settings(store=str(folder / "ssefw-work")),
                         stop=threading.Event(), idle=0)  # fmt: skip
            times[name] = (time.perf_counter() - start) / count
            print(f"{name:58} {1000 * times[name]:8.1f} ms a job")
    print(f"{'ratio':58} {times['ssefw work'] / times['rapidfire']:8.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=200)
    arguments = parser.parse_args()
    import logging

    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        put_queue(folder)
        dispatch(folder, arguments.jobs)
        campaign(folder, arguments.candidates)


if __name__ == "__main__":
    main()
