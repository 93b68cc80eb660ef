"""PBS and LSF of one machine: their programs, which run jobs as processes and answer as they do.

    python programs.py PROGRAM ARGUMENTS

PROGRAM is qsub, qstat, qselect, qdel, qsig, bsub, bjobs or bkill. The queue is the folder of the
environment variable FAKE_QUEUE, a file for each job; as many run as FAKE_QUEUE_SLOTS says. What
they print follows OpenPBS 22 and LSF 10, as far as ssefw asks.
"""

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

QUEUE = Path(os.environ.get("FAKE_QUEUE", "."))
SLOTS = int(os.environ.get("FAKE_QUEUE_SLOTS", "2"))
SERVER = "pbs-head"
PBS_TABLE = """\
Job id            Name             User              Time Use S Queue
----------------  ---------------- ----------------  -------- - -----
"""


def say(line=""):
    sys.stdout.write(f"{line}\n")


@contextlib.contextmanager
def locked():
    with (QUEUE / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def jobs():
    found = [json.loads(path.read_text()) for path in QUEUE.glob("*.json")]
    return {job["id"]: job for job in sorted(found, key=lambda job: int(job["id"]))}


def save(job):
    path = QUEUE / f"{job['id']}.json"
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(job))
    draft.replace(path)


def submit(script, *, name, log, walltime, variable, value):
    """Put a job into the queue and return its id."""
    with locked():
        number = str(1 + max(map(int, jobs()), default=16))
        copy = QUEUE / f"{number}.sh"
        copy.write_text(script)
        job = {"id": number, "name": name, "log": log, "walltime": walltime, "state": "pending",
               "folder": str(Path.cwd()), "variable": variable,
               "value": value.format(number)}  # fmt: skip
        save(job)
        start_what_fits()
    return number


def start_what_fits():
    """Start jobs that wait as long as there is room."""
    known = jobs()
    running = sum(job["state"] == "running" for job in known.values())
    for job in known.values():
        if job["state"] == "pending" and running < SLOTS:
            running += 1
            save(job | {"state": "running", "started": time.time()})
            subprocess.Popen(
                [sys.executable, __file__, "run", job["id"]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )


def run(number):
    """Run a job and note how it ended: the part of a queue's daemon."""
    job = jobs()[number]
    with Path(job["log"]).open("ab") as log:
        process = subprocess.Popen(
            ["bash", QUEUE / f"{number}.sh"],
            cwd=job["folder"],
            env=os.environ | {job["variable"]: job["value"]},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        with locked():
            save(jobs()[number] | {"pid": process.pid})
        code = process.wait()
    with locked():
        save(jobs()[number] | {"state": "ended", "code": code})
        start_what_fits()


def send(number, signum):
    """Signal all processes of a job; one that waits is gone at once."""
    with locked():
        job = jobs()[number]
        if job["state"] == "pending":
            save(job | {"state": "ended", "code": -signal.SIGTERM})
        elif job["state"] == "running" and "pid" in job:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job["pid"], signum)


def options_in(script, prefix):
    """Return the options of a script's head: letter to value."""
    lines = re.findall(rf"^#{prefix} -(\w+) ?(.*)$", script, re.MULTILINE)
    return {letter: value for letter, value in lines if letter != "l"} | dict(
        value.split("=", 1) for letter, value in lines if letter == "l"
    )


# PBS


def qsub(path):
    options = options_in(script := Path(path).read_text(), "PBS")
    number = submit(
        script,
        name=options["N"],
        log=options["o"],
        walltime=options.get("walltime", "01:00:00"),
        variable="PBS_JOBID",
        value=f"{{}}.{SERVER}",
    )
    say(f"{number}.{SERVER}")


def qstat(*arguments):
    words = [word for word in arguments if not word.startswith("-")]
    known, code = jobs(), 0
    if "-f" not in arguments:
        sys.stdout.write(PBS_TABLE)
    for word in words:
        job = known.get(word.partition(".")[0])
        if job is None:
            sys.stderr.write(f"qstat: Unknown Job Id {word}\n")
            code = 153
        elif job["state"] == "ended" and "-x" not in arguments:
            sys.stderr.write(
                f"qstat: {word} Job has finished, use -x or -H to obtain historical job "
                "information\n"
            )
            code = 35
        elif "-f" in arguments:
            qstat_full(job)
        else:
            letter = {"pending": "Q", "running": "R", "ended": "F"}[job["state"]]
            shown = f"{job['id']}.{SERVER}"
            say(f"{shown:<17} {job['name']:<16} {'anna':<17} {'00:00:02':>8} {letter} workq")
    return code


def qstat_full(job):
    letter = {"pending": "Q", "running": "R", "ended": "F"}[job["state"]]
    say(f"Job Id: {job['id']}.{SERVER}\n    Job_Name = {job['name']}\n    job_state = {letter}")
    say(f"    Resource_List.walltime = {job['walltime']}")
    if "started" in job:
        say(f"    stime = {time.strftime('%a %b %d %H:%M:%S %Y', time.localtime(job['started']))}")
    if "code" in job:
        code = job["code"]
        say(f"    Exit_status = {code if code >= 0 else 256 - code}")
    say()


def qselect(_, name):
    for job in jobs().values():
        if job["name"] == name and job["state"] != "ended":
            say(f"{job['id']}.{SERVER}")


def qdel(word):
    send(word.partition(".")[0], signal.SIGTERM)


def qsig(_, name, word):
    send(word.partition(".")[0], getattr(signal, name))


# LSF


def bsub():
    options = options_in(script := sys.stdin.read(), "BSUB")
    number = submit(
        script,
        name=options["J"],
        log=options["o"],
        walltime=options.get("W", "60:00"),
        variable="LSB_JOBID",
        value="{}",
    )
    say(f"Job <{number}> is submitted to default queue <normal>.")


def bjobs(*arguments):
    words, known = list(arguments), jobs()
    fields = words.pop(words.index("-o") + 1).replace("delimiter='|'", "").split()
    wanted = [word for word in words if word.isdigit()]
    if "-J" in words:
        name = words[words.index("-J") + 1]
        wanted = [
            job["id"] for job in known.values() if job["name"] == name and job["state"] != "ended"
        ]
        if not wanted:
            sys.stderr.write(f"Job <{name}> is not found\n")
            return 255
    code = 0
    for number in wanted:
        if number not in known:
            sys.stderr.write(f"Job <{number}> is not found\n")
            code = 255
            continue
        say("|".join(lsf_field(known[number], field) for field in fields))
    return code


def lsf_field(job, field):
    code = job.get("code")
    ended = {"pending": "PEND", "running": "RUN"}.get(job["state"], "DONE" if code == 0 else "EXIT")
    killed = code is not None and code < 0
    return {
        "jobid": job["id"],
        "stat": ended,
        "exit_code": "-" if not code else str(code if code > 0 else 128 - code),
        "exit_reason": "TERM_OWNER: job killed by owner" if killed else "-",
        "time_left": "0:30 L",
    }[field]


def bkill(*arguments):
    signum = signal.SIGTERM
    if arguments[0] == "-s":
        signum = getattr(signal, f"SIG{arguments[1]}")
    send(arguments[-1], signum)
    say(f"Job <{arguments[-1]}> is being {'signaled' if '-s' in arguments else 'terminated'}")


PROGRAMS = {
    program.__name__: program
    for program in (qsub, qstat, qselect, qdel, qsig, bsub, bjobs, bkill, run)
}

if __name__ == "__main__":
    sys.exit(PROGRAMS[sys.argv[1]](*sys.argv[2:]))
