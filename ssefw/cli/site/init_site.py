"""``ssefw init-site``: the files of a cluster."""

from pathlib import Path

import click

from ssefw.cli.numbers import COUNT, COUNT_OR_NONE
from ssefw.cli.options import answer, asked_address, json_option, settings
from ssefw.cli.say import say
from ssefw.files import expand_user
from ssefw.masking import masked

PLACES = ("scratch", "potcar_dir", "pseudo_dir")
"""Answers that are folders."""
EXAMPLE = (
    "Example: ssefw init-site slurm --partition cpu --account p123 --tasks 32 "
    "--vasp-cmd 'srun vasp_std'"
)


@click.command(epilog=EXAMPLE)
@click.argument("scheduler", type=click.Choice(["slurm", "pbs", "lsf"]))
@click.option("--to", type=click.Path(path_type=Path), help="Folder.  [default: ~/.config/ssefw]")
@click.option("--store", help="A folder, or a mongodb:// address.  [default: setting store]")
@click.option("--scratch", help="Folder for calculations, on a disk that all nodes see.")
@click.option("--partition", "--queue", "queue", help="Queue of the scheduler.")
@click.option("--account", help="Account or project that pays.")
@click.option("--nodes", type=COUNT, default=1, help="Nodes of a queue job.")
@click.option("--tasks", type=COUNT, default=1, help="MPI ranks of each node.")
@click.option("--threads", type=COUNT, default=1, help="Threads of each rank.")
@click.option("--gpus", type=COUNT_OR_NONE, default=0, help="GPUs of each node.")
@click.option("--walltime", default="24:00:00", help="H:MM:SS of a queue job.")
@click.option("--jobs", type=COUNT, default=10, help="Most queue jobs at a time.")
@click.option("--waiting", type=COUNT, default=5, help="Most queue jobs that wait.")
@click.option("--vasp-cmd", help="Command that runs VASP, such as 'srun vasp_std'.")
@click.option("--pw-cmd", help="Command that runs pw.x.")
@click.option("--socket-cmd", help="Command that runs the program of engine: {code: socket}.")
@click.option("--potcar-dir", help="Folder of VASP's POTCARs.")
@click.option("--pseudo-dir", help="Folder of UPF pseudopotentials.")
@click.option("--offline", is_flag=True, help="Compute nodes reach no database: jobs go as files.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("-n", "--dry-run", is_flag=True, help="Print the files; write nothing.")
@json_option
def command(
    *,
    scheduler: str,
    to: Path | None,
    store: str | None,
    tasks: int,
    threads: int,
    gpus: int,
    offline: bool,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    **answers: str | int | None,
) -> None:
    """Write queue.yaml and settings.yaml of a site, and what keeps a launcher running there.

    With a server also what FireWorks' own commands want. Then `ssefw config check` tries them, and
    `ssefw launch` feeds the queue.
    """
    from ssefw.campaigns.queueing.site import QUEUE_FILE, parse_site, site_folder
    from ssefw.campaigns.queueing.site_files import SiteAnswers, site_files, write_site
    from ssefw.store import Address

    for option, value in {"store": store, "to": to, **answers}.items():
        if value is not None and not str(value).strip():
            raise click.BadParameter("is empty", param_hint=f"--{option.replace('_', '-')}")
        if not str(value).isprintable():
            name = option.replace("_", "-")
            raise click.BadParameter("holds a control character", param_hint=f"--{name}")
    # Jobs run in other folders than this one.
    answers |= {
        name: str(expand_user(str(answers[name])).absolute())
        for name in PLACES
        if answers[name] is not None
    }
    to = None if to is None else expand_user(to)
    address = Address(asked_address(store) if store else settings().store)
    given = SiteAnswers(
        scheduler=scheduler,
        store=str.__str__(address),
        tasks_per_node=tasks,
        cpus_per_task=threads,
        gpus_per_node=gpus,
        offline=offline,
        **answers,  # type: ignore[arg-type]  # click has checked them
    )
    folder = to or site_folder()
    files = site_files(given, folder)
    parse_site(files[QUEUE_FILE], folder / QUEUE_FILE)  # before anything is written
    if dry_run:
        for name, text in files.items():
            plain = masked(text)
            answer({"file": name, "text": plain}, f"--- {name}\n{plain}", as_json=as_json)
        return
    for path in write_site(folder, files, overwrite=overwrite):
        answer({"file": str(path)}, f"wrote {path}", as_json=as_json)
    if to and not as_json:
        say(f"Use them with: export SSEFW_SETTINGS={folder.absolute() / 'settings.yaml'}")
