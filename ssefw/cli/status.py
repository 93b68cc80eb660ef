"""``ssefw status``: how far campaigns are."""

import time

import click

from ssefw.cli.options import json_option, opened, print_json, settings, store_option


@click.command(epilog="Example: ssefw status --watch --store demo")
@click.argument("campaign", required=False)
@store_option
@json_option
@click.option("-w", "--watch", is_flag=True, help="Look again every few seconds until it is done.")
@click.option("--interval", default=2.0, help="Seconds between two looks.")
def command(campaign: str | None, *, as_json: bool, watch: bool, interval: float) -> None:
    """Show how far campaigns are: stages, runs with their speed, failures."""
    from ssefw.campaigns.watch import campaigns_in, latest_record, snapshot
    from ssefw.cli.console import console
    from ssefw.cli.progress import view

    scratch = settings().scratch_folder()
    while True:
        with opened(read_only=True) as connection:
            names = [campaign] if campaign else campaigns_in(connection)
            records = [latest_record(connection, name) for name in names]
            now = [(snapshot(connection, record, scratch), record) for record in records]
        if watch and console().is_terminal:
            console().clear()
        for moment, record in now:
            if as_json:
                print_json(
                    {
                        "campaign": moment.campaign,
                        "candidates": moment.n_candidates,
                        "concluded": moment.concluded,
                        "done": moment.is_done,
                        "jobs": [
                            {"stage": stage, "state": state, "count": count}
                            for (stage, state), count in sorted(moment.stages.items())
                        ],
                        "failed": [
                            {"candidate_id": candidate, "job": job}
                            for candidate, job in moment.failed
                        ],
                    }
                )
            else:
                console().print(view(moment, record))
                for candidate, job in moment.failed:
                    console().print(f"  failed: {job} of {candidate}", style="red")
        if not now and not as_json:
            console().print("No campaign yet. Submit one with `ssefw submit FILE`.")
        if not watch or all(moment.is_done for moment, _ in now):
            return
        time.sleep(interval)
