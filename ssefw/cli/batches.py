"""A large pool as jobs: submitted once, and collected when the command is given again."""

from pathlib import Path
from typing import TYPE_CHECKING

from ssefw.cli.options import answer
from ssefw.cli.say import number_of, say

if TYPE_CHECKING:
    from ssefw.campaigns.running.batches import Batches, BatchMaker
    from ssefw.store import Connection

__all__ = ["submitted"]


def submitted(
    connection: "Connection", pool: Path, maker: "BatchMaker", *, names_differ: bool, as_json: bool
) -> "Batches | None":
    """Put a pool on the launch pad as far as it is not there; return it once all is done.

    Until then it says how far it is, and how to go on.
    """
    from ssefw.campaigns.running.batches import prepare_batches, submit_batches

    batches = prepare_batches(connection, pool, maker, names_differ=names_differ)
    done = sum(batches.done(connection))
    total = len(batches.rows)
    if done == total:
        say(f"{batches.name}: {number_of(total, 'batch', 'batches')} done", err=True)
        return batches
    added = submit_batches(connection, batches)
    said = (
        f"{batches.name}: {number_of(sum(n for _, n in batches.rows), 'row')} in "
        f"{number_of(total, 'batch', 'batches')}, {done} done, {added} submitted now. Run workers, "
        f"such as `ssefw work --campaign {batches.name}`, and give this command again when "
        f"`ssefw status {batches.name}` says that they are done."
    )
    record = {"campaign": batches.name, "batches": total, "done": done, "added": added}
    answer(record, said, as_json=as_json)
    return None
