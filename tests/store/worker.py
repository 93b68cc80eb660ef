"""What the tests run in processes of their own: ``python worker.py TASK STORE ...``."""

import os
import sys
import time
from pathlib import Path


def say(line):
    """Tell the parent process."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def note(folder, name, *_):
    """Leave a mark for each time that a job has run."""
    descriptor = os.open(Path(folder) / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b"x")
    os.close(descriptor)
    return name


def transfer(store, seed):
    """Move money between accounts for ever, and say after each move what was moved."""
    import random

    from ssefw.store import Address
    from ssefw.store.embedded.database import open_database

    draw = random.Random(seed)
    database = open_database(Address(store))
    accounts, moves = database.accounts, database.moves
    say("ready")
    for n in range(1_000_000):
        giver, taker = draw.sample(range(8), 2)
        with database.file.transaction(write=True):
            accounts.update_one({"_id": giver}, {"$inc": {"balance": -1}})
            accounts.update_one({"_id": taker}, {"$inc": {"balance": 1}, "$push": {"from": giver}})
            moves.insert_one({"_id": f"{seed}-{n}", "pad": "x" * draw.randrange(3000)})
        if n % 3 == 0:
            moves.delete_one({"_id": f"{seed}-{n}"})
        else:
            say(f"{seed}-{n}")


def submit(store, folder):
    """Add workflows for ever."""
    from ssefw.store import connect

    with connect(store) as connection:
        for n in range(1_000_000):
            connection.launchpad.add_wf(workflow(folder, str(n)))
            if n == 0:
                say("ready")


def work(store, scratch):
    """Wait for the word, then run what is ready until nothing is."""
    import jobflow
    from fireworks import FWorker
    from fireworks.core.rocket_launcher import rapidfire

    from ssefw.store import connect

    with connect(store) as connection:
        jobflow.SETTINGS.JOB_STORE = connection.job_store
        say("ready")
        sys.stdin.readline()
        scratch = Path(scratch) / str(os.getpid())
        scratch.mkdir(parents=True)
        while connection.launchpad.future_run_exists():
            rapidfire(connection.launchpad, FWorker(), m_dir=str(scratch), strm_lvl="CRITICAL")
            time.sleep(0.05)


def enter(store):
    """Wait for the word, then open a store that may not be there yet and leave a document."""
    from ssefw.store import connect

    say("ready")
    sys.stdin.readline()
    with connect(store) as connection:
        connection.database.things.insert_one({})


def workflow(folder, name):
    """Return a FireWorks workflow: one job, three that follow it, one that follows these."""
    import worker
    from jobflow import Flow, job
    from jobflow.managers.fireworks import flow_to_workflow

    run = job(worker.note)
    first = run(str(folder), f"{name}-first")
    middle = [run(str(folder), f"{name}-{i}", first.output) for i in range(3)]
    last = run(str(folder), f"{name}-last", [job.output for job in middle])
    flow = Flow([first, *middle, last])
    flow.update_metadata({"campaign": "test", "candidate": name})
    return flow_to_workflow(flow, store=None)


if __name__ == "__main__":
    tasks = {"transfer": transfer, "submit": submit, "work": work, "enter": enter}
    tasks[sys.argv[1]](*sys.argv[2:])
