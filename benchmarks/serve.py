"""How fast `ssefw serve` is with a large campaign: first page, an update, memory.

    python benchmarks/serve.py [--candidates 5000] [--keep FOLDER]

The store holds one campaign in full swing as `campaign_scale.py` makes it, with every outcome as
large as a real one (four temperatures of 40 lags each). The server is a process of its own, asked
over HTTP as a browser asks: for the first page after its start, for the same page after a job has
been written, and for it again while ten browsers follow the events. Memory is the server's peak.
"""

import argparse
import http.cookiejar
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
from campaign_scale import put_in_full_swing, write_pool
from results_query import outcome

SHARE_CONCLUDED = 0.8
BROWSERS = 10


def fill(folder, count):
    """Submit the campaign and store what hours of work would leave; return its address."""
    from ssefw.campaigns.file import read_campaign
    from ssefw.campaigns.planning.plan import make_plan
    from ssefw.campaigns.running.submission import submit
    from ssefw.store import connect

    write_pool(folder, count)
    plan = make_plan(read_campaign(folder / "scale.yaml"))
    store = folder / "st"
    rng = np.random.default_rng(0)
    with connect(store) as connection:
        submit(plan, connection)
        put_in_full_swing(connection)
        jobs = connection.database["jobs"]
        jobs.delete_many({"output.@class": "Outcome"})
        made = []
        for number, item in enumerate(plan.candidates[: int(SHARE_CONCLUDED * count)]):
            document = outcome(rng, number).model_copy(
                update={
                    "candidate_id": item.id,
                    "formula": item.formula,
                    "campaign": "scale",
                }
            )
            made.append(
                {
                    "uuid": f"outcome{number}",
                    "index": 1,
                    "name": "outcome",
                    "metadata": {"campaign": "scale", "candidate": item.id},
                    "output": document.as_dict(),
                }
            )
        jobs.insert_many(made)
    return store


class Browser:
    """Holds the cookie of a login, and asks."""

    def __init__(self, address):
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(cookies)
        self.base = address.partition("?")[0].rstrip("/")
        self.address = address

    def get(self, path=""):  # noqa: D102
        with self.opener.open(self.base + path if path else self.address) as answer:
            return answer.read().decode()

    def timed(self, path=""):  # noqa: D102
        start = time.perf_counter()
        text = self.get(path)
        return time.perf_counter() - start, text

    def changes(self, path):  # noqa: D102
        with self.opener.open(self.base + path) as stream:
            for line in stream:
                if line.startswith(b"event: changed"):
                    yield time.perf_counter()

    def follow(self, path, heard):  # noqa: D102
        for moment in self.changes(path):
            heard.append(moment)


def processor_seconds(pid):
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid):
    """Return the most that a process has held, MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=5000)
    parser.add_argument("--keep", type=Path, help="folder in which the store is made, or is there")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(exist_ok=True)
        store = folder / "st"
        if not store.exists():
            start = time.perf_counter()
            fill(folder, options.candidates)
            print(f"store made in                  {time.perf_counter() - start:.0f} s")
        measure(store)


def measure(store):
    from ssefw.store import connect

    command = [sys.executable, "-m", "ssefw", "serve", "--store", str(store), "--port", "0"]
    start = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = next(line for line in server.stdout if line.startswith("http")).strip()
        told = time.perf_counter() - start
        print(
            f"address after                  {told:.2f} s ({processor_seconds(server.pid):.2f} s)"
        )
        browser = Browser(address)
        browser.get("/login")
        answered = time.perf_counter() - start
        used = processor_seconds(server.pid)
        print(f"first answer after             {answered:.2f} s ({used:.2f} s)")
        page = "/campaigns/scale"

        def ask(what, query="", times=1):
            before = processor_seconds(server.pid)
            found = [browser.timed(page + query) for _ in range(times)]
            used = (processor_seconds(server.pid) - before) / times
            seconds, text = np.median([seconds for seconds, _ in found]), found[0][1]
            print(f"{what:30} {seconds:.3f} s ({used:.3f} s), {len(text) / 1000:.0f} kB")

        before, begin = processor_seconds(server.pid), time.perf_counter()
        browser.get()
        used, seconds = processor_seconds(server.pid) - before, time.perf_counter() - begin
        print(f"first page                     {seconds:.3f} s ({used:.3f} s)")
        ask("the same page again", times=20)
        for query in ("?sort=sigma", "?sort=formula&page=20", "?q=Li4", "?state=failed"):
            ask(f"  {query}", query)
        with connect(store) as connection:
            job = {"spec.campaign": "scale", "state": "COMPLETED"}
            for _ in range(3):
                connection.launchpad.fireworks.update_one(job, {"$set": {"state": "RUNNING"}})
                time.sleep(3)
                ask("page after a job has changed")
            heard = []
            for _ in range(BROWSERS):
                threading.Thread(
                    target=browser.follow, args=("/events?campaign=scale", heard), daemon=True
                ).start()
            time.sleep(15)  # what was asked for before has made the server rest
            heard.clear()
            connection.launchpad.fireworks.update_one(job, {"$set": {"state": "RUNNING"}})
            changed = time.perf_counter()
            while len(heard) < BROWSERS and time.perf_counter() - changed < 30:
                time.sleep(0.01)
            print(f"{len(heard)} browsers told after         {max(heard) - changed:.2f} s")
        print(f"memory at most                 {peak_memory(server.pid):.0f} MB")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
