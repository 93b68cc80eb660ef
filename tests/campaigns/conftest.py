"""A Slurm of a few shell scripts, with its queue in a folder."""

import stat

import pytest


def put_program(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Programs that keep a queue in a folder: a file for each job, which holds its state."""
    programs, queue = tmp_path / "programs", tmp_path / "queue"
    programs.mkdir()
    queue.mkdir()
    put_program(
        programs, "sbatch",
        f'[ -e {queue}/full ] && {{ echo "QOSMaxSubmitJobPerUserLimit" >&2; exit 1; }}\n'
        f'n=$(ls {queue} | wc -l); echo "PENDING" > {queue}/$((n+1))\n'
        f'grep -o "job-name=.*" "$2" | cut -d= -f2 > {programs}/name-$((n+1)); echo $((n+1))',
    )  # fmt: skip
    put_program(
        programs, "squeue",
        f'if [ "$2" = --name ]; then grep -l "$3" {programs}/name-* | sed "s/.*name-//"; exit; fi\n'
        f'for i in $(echo "$3" | tr , " "); do\n'
        f'[ -e {queue}/$i ] && echo "$i|$(cat {queue}/$i)|None"; done; exit 0',
    )  # fmt: skip
    put_program(programs, "scontrol", 'echo "JobState=FAILED ExitCode=1:0"')
    put_program(programs, "scancel", f"rm -f {queue}/$1")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return queue
