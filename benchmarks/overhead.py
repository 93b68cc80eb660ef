"""Where the wall time of a finished campaign went: engines, analysis, and our layers around them.

    ssefw run workflows/quickstart.yaml --store demo
    python benchmarks/overhead.py demo

Engine time is what the engines themselves noted in relaxations and trajectory segments. Analysis is
the time of the jobs that only analyze. The rest of the time of all jobs, and the time between two
jobs of a worker, is overhead: FireWorks, stores, documents, serialization. Waiting for another
worker's job at the end of a campaign and starting Python are shown apart.
"""

import argparse
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from ssefw.campaigns.running.watch import campaigns_in
from ssefw.documents import RelaxResult, Trajectory
from ssefw.store import connect

ANALYSIS = {"diffusivity", "bvse", "conclude"}
LONGEST_GAP = 1.0  # a worker that finds no job for longer than this is waiting for another's


def seconds(text):
    when = datetime.fromisoformat(text) if isinstance(text, str) else text
    return when.timestamp()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    with connect(parser.parse_args().store, read_only=True) as connection:
        names = {
            launch_id: firework["name"].partition(" ")[0]
            for firework in connection.launchpad.fireworks.find({}, {"name": 1, "launches": 1})
            for launch_id in firework["launches"]
        }
        spans = defaultdict(list)
        by_stage = defaultdict(float)
        for launch in connection.launchpad.launches.find({"state": "COMPLETED"}):
            history = {entry["state"]: entry["created_on"] for entry in launch["state_history"]}
            start, end = seconds(history["RUNNING"]), seconds(history["COMPLETED"])
            spans[Path(launch["launch_dir"]).parent.name].append((start, end))
            by_stage[names[launch["launch_id"]]] += end - start
        engine = sum(result.wall_time for result in connection.results.find(RelaxResult)) + sum(
            segment.wall_time
            for trajectory in {t.key: t for t in connection.results.find(Trajectory)}.values()
            for segment in trajectory.segments
        )
        campaigns = campaigns_in(connection)

    jobs = sum(by_stage.values())
    between = waiting = 0.0
    for worker in spans.values():
        for (_, end), (start, _) in pairwise(sorted(worker)):
            gap = max(0.0, start - end)
            if gap > LONGEST_GAP:
                waiting += gap
            else:
                between += gap
    analysis = sum(time for stage, time in by_stage.items() if stage in ANALYSIS)
    overhead = jobs - engine - analysis + between
    busy = jobs + between
    print(f"campaigns {', '.join(campaigns)}; {len(spans)} workers, {len(names)} launches")
    for label, value in (
        ("engines", engine),
        ("analysis", analysis),
        ("overhead", overhead),
        ("busy in all", busy),
    ):
        print(f"{label:14} {value:9.1f} s   {value / busy:6.1%}")
    print(f"waiting        {waiting:9.1f} s   for jobs of other workers")
    for stage, value in sorted(by_stage.items(), key=lambda item: -item[1]):
        print(f"    {stage:12} {value:9.1f} s")


if __name__ == "__main__":
    main()
