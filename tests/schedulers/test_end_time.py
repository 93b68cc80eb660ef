"""The end of the allocation is learnt from each scheduler's own words."""

import time
from datetime import datetime, timedelta

import pytest

from ssefw.engines.stopping import end_time, stop_check
from ssefw.schedulers import end_time as schedulers

VARIABLES = ["SLURM_JOB_END_TIME", *schedulers.END_OF_JOB]


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Put a scheduler's program on the path that prints a given text."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    schedulers.scheduler_end_time.cache_clear()

    def put(program, text, variable, *, status=0):
        (tmp_path / "told.txt").write_text(text)
        script = tmp_path / program
        script.write_text(f"#!/bin/sh\ncat {tmp_path}/told.txt\nexit {status}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.setenv(variable, "123")

    yield put
    schedulers.scheduler_end_time.cache_clear()


def test_slurm_tells_the_end(told):
    end = datetime.now().astimezone().replace(microsecond=0) + timedelta(hours=2)
    told("squeue", f"{end:%Y-%m-%dT%H:%M:%S}\n", "SLURM_JOB_ID")
    assert end_time() == end.timestamp()


def test_a_slurm_job_without_limit_has_no_end(told):
    told("squeue", "NONE\n", "SLURM_JOB_ID")
    assert end_time() is None


@pytest.mark.parametrize("name", ["stime", "start_time"])
def test_pbs_tells_start_and_length(told, name):
    start = datetime.now().astimezone().replace(microsecond=0)
    text = (
        "Job Id: 123.server\n    Job_Name = aimd\n    Resource_List.select = 1:ncpus=64\n"
        "    Resource_List.walltime = 24:00:00\n"
        f"    {name} = {start:%a %b %d %H:%M:%S %Y}\n"
    )
    told("qstat", text, "PBS_JOBID")
    assert end_time() == start.timestamp() + 86400


def test_lsf_tells_what_is_left(told):
    told("bjobs", "11:35 L\n", "LSB_JOBID")
    assert end_time() == pytest.approx(time.time() + 11 * 3600 + 35 * 60, abs=5)


def test_grid_engine_tells_its_hard_limit(told):
    told("qstat", "hard resource_list:  h_rt=3600,h_vmem=4G\n", "JOB_ID")
    assert end_time() == schedulers.STARTED + 3600


def test_a_scheduler_that_fails_is_no_error(told, caplog):
    told("squeue", "slurm_load_jobs error\n", "SLURM_JOB_ID", status=1)
    assert end_time() is None
    assert "set SSEFW_END_TIME" in caplog.text


def test_the_environment_comes_first_and_time_runs_out(told, monkeypatch):
    told("squeue", "NONE", "SLURM_JOB_ID")
    monkeypatch.setenv("SSEFW_END_TIME", str(time.time() + 30))
    assert stop_check(margin=60)() == "walltime"
    assert stop_check(margin=10)() is None
