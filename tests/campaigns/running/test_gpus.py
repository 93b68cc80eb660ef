"""One worker for each graphics card, with an environment and a device folder that stand in."""

import os
import signal
import time

import pytest

from ssefw.campaigns.file import CampaignSpec, EngineSpec
from ssefw.campaigns.running import gpus, supervise
from ssefw.campaigns.running.gpus import computes_on_gpus, own_gpu, visible_gpus
from ssefw.campaigns.running.supervise import WorkerProcesses, worker_count
from ssefw.settings import Settings


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("0,1,2,3", ["0", "1", "2", "3"]),
        ("2", ["2"]),
        ("GPU-8932f937, MIG-4f1c", ["GPU-8932f937", "MIG-4f1c"]),
        ("1,-1,0", ["1"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
    ],
)
def test_the_variable_says_which_cards_there_are(value, names):
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": value}) == names


def test_without_the_variable_the_devices_do(tmp_path, monkeypatch):
    monkeypatch.setattr(gpus, "DEVICES", tmp_path)
    assert visible_gpus({}) == []
    for name in ("nvidia10", "nvidia0", "nvidia2", "nvidiactl", "nvidia-uvm", "sda1"):
        (tmp_path / name).touch()
    assert visible_gpus({}) == ["0", "2", "10"]


@pytest.fixture
def crew(tmp_path, monkeypatch):
    """Workers that say which card they see, and wait."""
    stand_in = tmp_path / "python"
    stand_in.write_text('#!/bin/sh\necho "$$ sees <${CUDA_VISIBLE_DEVICES-all}>"\nexec sleep 60\n')
    stand_in.chmod(0o755)
    monkeypatch.setattr(supervise.sys, "executable", str(stand_in))
    made = []

    def make(visible):
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        made.append(WorkerProcesses(Settings(), "c"))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def seen(log, n):
    """Return what each worker says it sees, once all have said it."""
    while len(lines := log.read_text().splitlines()) < n:
        time.sleep(0.01)
    return {int(line.split()[0]): line.partition(" sees ")[2].strip("<>") for line in lines}


def test_each_worker_sees_one_card_and_its_successor_the_same(crew, tmp_path):
    workers, log = crew("3,5"), tmp_path / "log"
    workers.start(3, log=log)
    first = seen(log, 3)
    assert [first[process.pid] for process in workers.processes] == ["3", "5", "3"]
    killed = workers.processes[1]
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert workers.goes_on(log=log)
    assert seen(log, 4)[workers.processes[-1].pid] == "5"


@pytest.mark.parametrize(("visible", "sees"), [(None, "all"), ("", ""), ("-1", "-1")])
def test_where_there_are_no_cards_nothing_is_said_of_them(
    crew, tmp_path, monkeypatch, visible, sees
):
    monkeypatch.setattr(gpus, "DEVICES", tmp_path)
    workers, log = crew(visible), tmp_path / "log"
    workers.start(1, log=log)
    assert list(seen(log, 1).values()) == [sees]


@pytest.mark.parametrize(
    ("environment", "own"),
    [
        ({"CUDA_VISIBLE_DEVICES": "0,1,2,3", "SLURM_LOCALID": "2"}, "2"),
        ({"CUDA_VISIBLE_DEVICES": "4,6", "OMPI_COMM_WORLD_LOCAL_RANK": "3"}, "6"),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, None),
        ({"CUDA_VISIBLE_DEVICES": "1", "SLURM_LOCALID": "2"}, None),
        ({"CUDA_VISIBLE_DEVICES": "", "SLURM_LOCALID": "0"}, None),
    ],
)
def test_of_several_workers_that_srun_starts_each_takes_its_own(environment, own):
    assert own_gpu(environment) == own


def test_a_campaign_on_graphics_cards_has_one_worker_for_each():
    fast = EngineSpec(options={"device": "cuda"})
    blocks = {"campaign": "x", "pool": {"path": "pool"}, "neb": {}}
    assert computes_on_gpus(CampaignSpec(**blocks, engine=fast))
    assert computes_on_gpus(CampaignSpec(**blocks | {"neb": {"first": fast}}))
    assert not computes_on_gpus(CampaignSpec(**blocks))
    assert not computes_on_gpus(CampaignSpec(**blocks, engine={"code": "vasp"}))
    assert worker_count(Settings(), n_gpus=4) == 4
    assert worker_count(Settings(workers=2), n_gpus=4) == 2
