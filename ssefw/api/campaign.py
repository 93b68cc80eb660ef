"""A campaign that is run from Python."""

import logging
from pathlib import Path

from ssefw.api.found import FoundOutcome
from ssefw.api.records import Records
from ssefw.api.store import open_store
from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.needs import missing_for
from ssefw.campaigns.planning.plan import make_plan
from ssefw.campaigns.running.drive import drive
from ssefw.campaigns.running.submission import submit
from ssefw.campaigns.running.watch import latest_record
from ssefw.engines.stopping import stopping_on_signals
from ssefw.errors import LaunchError
from ssefw.report.page import write_report
from ssefw.settings import load_settings
from ssefw.store import connect, outages_reported

__all__ = ["run"]

logger = logging.getLogger(__name__)


def run(
    campaign: str | Path, *, store: str | Path | None = None, workers: int | None = None
) -> Records[FoundOutcome]:
    """Run a campaign to its end on this machine, as ``ssefw run`` does, and return its outcomes.

    It may be interrupted at any moment, and goes on when it is run again. What it does is logged.

    Parameters
    ----------
    campaign
        The campaign file.
    store
        Where everything is kept; that of the settings if None.
    workers
        Processes; one for each core if None, or as the settings have it.

    Raises
    ------
    ConfigurationError
        If the file is wrong; with a line for each mistake.
    LaunchError
        If this machine lacks what the campaign needs, or its workers died.
    KeyboardInterrupt
        If it was interrupted, after its workers have stored what they had.
    """
    settings = load_settings().settings
    if store is not None:
        settings = settings.model_copy(update={"store": str(store)})
    plan = make_plan(read_campaign(Path(campaign)))
    if missing := missing_for(plan):
        raise LaunchError(f"{' '.join(missing)} Nothing was submitted.")
    name = plan.spec.campaign
    with (
        stopping_on_signals() as stop,
        connect(settings.store, patience=settings.patience, stop=stop) as connection,
        outages_reported(connection.address),
    ):
        submit(plan, connection)
        ending = drive(
            connection,
            latest_record(connection, name),
            settings,
            stop=stop,
            workers=workers,
            say=lambda text: logger.info("%s", text),
        )
        if ending.is_interrupted:
            raise KeyboardInterrupt
        path = write_report(connection, name, settings)
        logger.info("Report: %s", path)
    if ending.abandoned:
        raise LaunchError(f"{ending.abandoned}; run the campaign again and it goes on.")
    if ending.not_learned:
        logger.warning("The outcomes were not learned from: %s", ending.not_learned)
    if ending.now.failed:
        logger.warning("%d jobs failed; `ssefw status` says why.", len(ending.now.failed))
    if ending.now.state == "held":
        logger.warning("%d jobs are held; `ssefw status` says by what.", ending.now.held)
    return open_store(settings.store).outcomes(campaign=name)
