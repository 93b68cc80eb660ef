"""Jobs as workers leave them: running in a folder, or failed there with a traceback."""

from fireworks import FWAction, FWorker

from ssefw.campaigns.running.worker_names import Worker
from ssefw.documents import Failure
from ssefw.engines import RunDirectory, noting_folder

__all__ = ["MESSAGE", "TRACE", "fail", "start"]

MESSAGE = (
    "VASP failed (3 handlers gave up): the charge density of the cell sloshes from one side to the "
    "other and never settles, whatever is tried. Set ALGO = All in incar and run it again."
)
TRACE = f"""Traceback (most recent call last):
  File "x.py", line 1, in <module>
    raise EngineError(message)
ssefw.errors.EngineError: {MESSAGE}
"""


def start(connection, folder, worker=None):
    """Let a worker take the first job, and note where it calculates."""
    worker = worker or Worker("node7", 12, "345", "slurm", "17", cores=4)
    launch_folder = folder / worker.name / "000000"
    launch_folder.mkdir(parents=True)
    fireworker = FWorker(worker.name, env=worker.record)
    firework, launch = connection.launchpad.checkout_fw(fireworker, str(launch_folder))
    run = RunDirectory(folder / "runs/one", key="one")
    with noting_folder(launch_folder / "run-folder"), run.lock():
        (run.path / "OUTCAR").write_text("first\nsecond\n")
    return firework, launch, run.path


def fail(connection, folder):
    firework, launch, run = start(connection, folder)
    candidate = firework.spec["candidate"]
    failure = Failure(stage="relax", code="engine_error", message=MESSAGE, directory=str(run))
    connection.results.add(failure, candidate=candidate, campaign="small")
    action = FWAction(stored_data={"_exception": {"_stacktrace": TRACE}})
    connection.launchpad.complete_launch(launch, action, "FIZZLED")
    return run
