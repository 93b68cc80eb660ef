"""Scripts for Slurm, PBS and LSF, and what their programs say, as they say it."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssefw.errors import LaunchError
from ssefw.schedulers import (
    LSF,
    PBS,
    SCHEDULERS,
    QueueJob,
    QueueSilentError,
    Rejected,
    Resources,
    Slurm,
)

WANTED = Resources(
    nodes=2,
    tasks_per_node=16,
    cpus_per_task=2,
    gpus_per_node=4,
    memory=64000,
    walltime=1530,
    queue="batch",
    account="p123",
    directives=("--constraint=gpu",),
)

# squeue --format "%A|%T|%r" of Slurm 22.05; qstat of OpenPBS 22; bjobs -o of LSF 10.
SQUEUE = """\
17|RUNNING|None
18|PENDING|Resources
19|COMPLETING|NonZeroExitCode
20|COMPLETED|None
21|REQUEUE_HOLD|launch failed requeued held
"""
QSTAT = """\
Job id            Name             User              Time Use S Queue
----------------  ---------------- ----------------  -------- - -----
1017.pbs-head     ssefw-0a1b2c3d   anna              00:10:02 R workq
1018.pbs-head     ssefw-1a1b2c3d   anna                     0 Q workq
1019.pbs-head     ssefw-2a1b2c3d   anna                     0 H workq
1020.pbs-head     ssefw-3a1b2c3d   anna              00:00:02 E workq
1021.pbs-head     ssefw-4a1b2c3d   anna              00:00:02 F workq
"""
BJOBS = "17|RUN\n18|PEND\n19|UNKWN\n20|DONE\n21|EXIT\n22|PSUSP\n"


def program(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder for programs that stand in for a queue's, first on the PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_squeue_tells_which_jobs_wait_and_which_run():
    states = {job.job_id: job.state for job in Slurm().parse(SQUEUE)}
    assert states == {
        "17": "running",
        "18": "pending",
        "19": "running",
        "20": "ended",
        "21": "pending",
    }


def test_qstat_tells_which_jobs_wait_and_which_run():
    states = [job.state for job in PBS().parse(QSTAT)]
    assert states == ["running", "pending", "pending", "running", "ended"]
    assert PBS().parse(QSTAT)[0].job_id == "1017"


def test_bjobs_tells_which_jobs_wait_and_which_run():
    states = [job.state for job in LSF().parse(BJOBS)]
    assert states == ["running", "pending", "running", "ended", "ended", "pending"]


@pytest.mark.parametrize("name", list(SCHEDULERS))
@given(text=st.text())
def test_no_listing_breaks_a_parser(name, text):
    assert all(isinstance(job, QueueJob) for job in SCHEDULERS[name].parse(text))


def test_a_slurm_script_asks_for_everything():
    head = Slurm().header(WANTED, name="ssefw-1", log=Path("/s/job.log")).splitlines()
    assert head[0] == "#!/bin/bash"
    for option in (
        "--job-name=ssefw-1", "--output=/s/job.log", "--no-requeue", "--nodes=2",
        "--ntasks-per-node=16", "--cpus-per-task=2", "--gpus-per-node=4", "--mem=64000M",
        "--time=1530", "--partition=batch", "--account=p123", "--constraint=gpu",
        "--signal=B:USR1@300",
    ):  # fmt: skip
        assert f"#SBATCH {option}" in head


def test_a_pbs_script_asks_for_everything():
    head = PBS().header(WANTED, name="ssefw-1", log=Path("/s/job.log"))
    assert "-l select=2:ncpus=32:mpiprocs=16:ompthreads=2:ngpus=4:mem=64000mb" in head
    assert "-l walltime=25:30:00" in head
    assert "#PBS -q batch" in head
    assert "#PBS -r n" in head


def test_an_lsf_script_asks_for_everything():
    head = LSF().header(WANTED, name="ssefw-1", log=Path("/s/job.log"))
    assert "#BSUB -n 64" in head
    assert '#BSUB -R "span[ptile=32]"' in head
    assert "#BSUB -W 25:30" in head
    assert "#BSUB -wa USR1" in head


def test_the_signal_before_the_end_of_a_short_job_comes_late_enough():
    head = Slurm().header(Resources(walltime=5), name="a", log=Path("/s/l"))
    assert "--signal=B:USR1@60" in head


@pytest.mark.parametrize(
    ("name", "program_name", "said", "job_id"),
    [
        ("slurm", "sbatch", "4711;cluster", "4711"),
        ("slurm", "sbatch", "4711", "4711"),
        ("pbs", "qsub", "1017.pbs-head.site.org", "1017.pbs-head.site.org"),
        ("lsf", "bsub", "Job <123> is submitted to queue <normal>.", "123"),
    ],
)
def test_a_submission_returns_the_id(*, programs, tmp_path, name, program_name, said, job_id):
    program(programs, program_name, f"echo '{said}'")
    script = tmp_path / "job.sh"
    script.write_text("")
    assert SCHEDULERS[name].submit(script) == job_id


@pytest.mark.parametrize(
    ("said", "is_full"),
    [
        ("sbatch: error: invalid partition specified: nope", False),
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition", False),
        (
            "sbatch: error: AssocMaxSubmitJobLimit",
            True,
        ),
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit", True),
    ],
)
def test_a_refusal_says_whether_to_try_again(programs, tmp_path, said, is_full):
    program(programs, "sbatch", f'echo "{said}" >&2; exit 1')
    with pytest.raises(Rejected, match="refuses the job") as raised:
        Slurm().submit(tmp_path / "job.sh")
    assert raised.value.is_full is is_full


def test_a_queue_that_cannot_be_reached_is_no_refusal(programs, tmp_path):
    said = "sbatch: error: Batch job submission failed: Unable to contact slurm controller"
    program(programs, "sbatch", f'echo "{said}" >&2; exit 1')
    with pytest.raises(QueueSilentError):
        Slurm().submit(tmp_path / "job.sh")


def test_a_job_that_slurm_has_forgotten_has_ended(programs):
    said = "slurm_load_jobs error: Invalid job id specified"
    program(programs, "squeue", f'echo "{said}" >&2; exit 1')
    assert Slurm().jobs(["5"]) == {}


def test_jobs_that_pbs_has_forgotten_have_ended(programs):
    program(
        programs, "qstat", f"cat <<'X'\n{QSTAT}X\necho 'qstat: Unknown Job Id 9.pbs' >&2; exit 153"
    )
    assert set(PBS().jobs(["1017.pbs-head", "1021.pbs-head", "9.pbs-head"])) == {"1017.pbs-head"}


def test_a_silent_queue_says_nothing_about_jobs(programs):
    program(programs, "squeue", "echo 'slurm_load_jobs error: Socket timed out' >&2; exit 1")
    with pytest.raises(QueueSilentError, match="timed out"):
        Slurm().jobs(["5"])


def test_without_a_queue_one_is_told_where_to_go(programs, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(LaunchError, match="sbatch is not on the PATH"):
        Slurm().submit(tmp_path / "job.sh")


@pytest.mark.parametrize(
    ("said", "failed"),
    [
        ("JobId=7 JobName=a JobState=TIMEOUT Reason=TimeLimit ExitCode=0:15", False),
        ("JobId=7 JobName=a JobState=FAILED Reason=NonZeroExitCode ExitCode=1:0", True),
        ("JobId=7 JobName=a JobState=CANCELLED Reason=None ExitCode=0:0", False),
        ("JobId=7 JobName=a JobState=OUT_OF_MEMORY Reason=OutOfMemory ExitCode=0:125", True),
        ("slurm_load_jobs error: Invalid job id specified", False),
    ],
)
def test_the_end_of_a_slurm_job_is_told_from_scontrol(programs, said, failed):
    program(programs, "scontrol", f"echo '{said}'")
    assert Slurm().ending("7").failed is failed


def test_the_end_of_a_pbs_job_is_told_from_its_exit_status(programs):
    program(programs, "qstat", "echo '    Exit_status = 271'")
    assert not PBS().ending("7").failed
    program(programs, "qstat", "echo '    Exit_status = 1'")
    assert PBS().ending("7").failed


def test_the_end_of_an_lsf_job_is_told_from_bjobs(programs):
    program(programs, "bjobs", "echo 'EXIT|140|TERM_RUNLIMIT: job killed'")
    assert not LSF().ending("7").failed
    program(programs, "bjobs", "echo 'EXIT|1|-'")
    assert LSF().ending("7").failed
