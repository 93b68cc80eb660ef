"""What it costs to hand a job to a worker: ssefw against bare ``qlaunch`` of FireWorks.

    python benchmarks/dispatch.py --server mongodb://host [--jobs 10]

Jobs that do nothing, through a real Slurm and a server, in turn: ``qlaunch rapidfire`` with one
queue job for each, as FireWorks does it, and one queue job whose worker takes them all, as
``ssefw launch`` submits it. Seconds of a busy machine tell little; the ratio does.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from fireworks import Firework, ScriptTask, Workflow

from ssefw.campaigns.queueing.site import Site
from ssefw.store import connect

QADAPTER = """\
_fw_name: CommonAdapter
_fw_q_type: SLURM
rocket_launch: "{rlaunch} -c {folder} singleshot"
nodes: 1
ntasks: 1
mem: 600
walltime: "00:10:00"
pre_rocket: "export PYTHONPATH={path}"
"""
POLL = 0.2


def add_jobs(connection, count):
    for number in range(count):
        nothing = ScriptTask.from_str("true")
        connection.launchpad.add_wf(Workflow([Firework(nothing, name=f"nothing {number}")]))


def wait_until_done(connection, count):
    while connection.launchpad.fireworks.count_documents({"state": "COMPLETED"}) < count:
        time.sleep(POLL)


def by_qlaunch(connection, folder, count):
    """Return the seconds that `qlaunch rapidfire` takes, from its start to the end of all jobs."""
    scripts = Path(sys.executable).parent
    uri, name = connection.address.uri, connection.database.name
    (folder / "my_launchpad.yaml").write_text(f"host: {uri}\nuri_mode: true\nname: {name}\n")
    # By itself it rests 15 s after each submission, which is no overhead but a choice.
    (folder / "FW_config.yaml").write_text("QUEUE_UPDATE_INTERVAL: 0\n")
    (folder / "my_fworker.yaml").write_text("name: bare\ncategory: ''\nquery: '{}'\n")
    (folder / "my_qadapter.yaml").write_text(
        QADAPTER.format(rlaunch=scripts / "rlaunch", folder=folder, path=Path.cwd())
    )
    add_jobs(connection, count)
    start = time.perf_counter()
    command = [
        scripts / "qlaunch",
        "-c",
        folder,
        "rapidfire",
        "--nlaunches",
        str(count),
        "--sleep",
        "1",
    ]
    config = {"FW_CONFIG_FILE": str(folder / "FW_config.yaml")}
    subprocess.run(command, check=True, capture_output=True, cwd=folder, env=os.environ | config)
    wait_until_done(connection, count)
    return time.perf_counter() - start


def by_worker(connection, folder, count):
    """Return the seconds that one queue job of ssefw takes for the same."""
    add_jobs(connection, count)
    site = Site(scheduler="slurm", resources={"memory": 600, "walltime": "0:10:00"}, idle=0)
    (folder / "settings.yaml").write_text(
        f"store: {connection.address.uri}\nscratch: {folder / 'scratch'}\n"
    )
    script = folder / "job.sh"
    text = site.script(
        site.ask(None),
        name="ssefw-dispatch",
        log=folder / "job.log",
        settings=folder / "settings.yaml",
        arguments=["work", "--no-wait"],
    )
    path = shlex.quote(str(Path.cwd()))
    script.write_text(text.replace("\nexec", f"\nexport PYTHONPATH={path}\nexec"))
    start = time.perf_counter()
    site.queue.submit(script)
    wait_until_done(connection, count)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="mongodb://host, without a database")
    parser.add_argument("--jobs", type=int, default=10)
    options = parser.parse_args()
    seconds = {}
    for name, way in (("qlaunch", by_qlaunch), ("ssefw", by_worker)):
        with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
            address = f"{options.server.rstrip('/')}/dispatch_{uuid.uuid4().hex[:8]}"
            with connect(address) as connection:
                seconds[name] = way(connection, Path(folder), options.jobs) / options.jobs
                connection.database.client.drop_database(connection.database.name)
    print(f"qlaunch, a queue job for each  {seconds['qlaunch']:.2f} s a job")
    print(f"ssefw, one worker for all      {seconds['ssefw']:.2f} s a job")
    print(f"ratio                          {seconds['qlaunch'] / seconds['ssefw']:.1f}")


if __name__ == "__main__":
    main()
