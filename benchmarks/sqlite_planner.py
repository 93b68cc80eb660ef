"""Whether SQLite's own planner could take the place of the store's: both, in one run.

    python benchmarks/results_query.py --outcomes 20000 --keep FOLDER
    python benchmarks/sqlite_planner.py FOLDER

The store keeps, for each index, a table of keys, and `QueryPlan` chooses among them. Here every
field of an index is a column of one table instead, a field that is a list somewhere has a side
table of its elements, the indices are SQLite's own over these columns, and a question is one SELECT
of which SQLite finds the way. Keys are the same bytes, since SQLite knows none of MongoDB's types.
The columns are made beside the store in a temporary file, with SQLite's statistics (ANALYZE) and
without.

Printed are the questions of `results_query.py` by each: CPU time, the smaller of three askings, and
that of finding the places alone, without the documents being read, which is what a planner decides.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import bson
from results_query import QUESTIONS

from ssefw.store import connect
from ssefw.store.checksum import without_tail
from ssefw.store.embedded import collection
from ssefw.store.embedded.indices import Values, conditions
from ssefw.store.embedded.keys import OUTSIDE
from ssefw.store.embedded.query_plan import QueryPlan
from ssefw.store.embedded.records import CollectionRecords

COLUMNS: sqlite3.Connection


class ColumnPlan:
    """What `QueryPlan` is, by one SELECT over columns."""

    def __init__(self, records, spec, sort=()):
        names = _columns(records.table)
        demands, complete = conditions(spec)
        where, values, used = [], [], 0
        for demand in demands:
            made = self._condition(demand, names)
            if made is not None:
                where.append(made[0])
                values += made[1]
                used += 1
        fields = [(names.get(field), direction) for field, direction in sort]
        self.is_ordered = all(name and not _has_lists(name) for name, _ in fields)
        self.is_exact = complete and used == len(demands) and all(d.is_exact for d in demands)
        self.is_empty = False
        self._values = values
        self._from = f"FROM documents{' WHERE ' + ' AND '.join(where) if where else ''}"
        order = [f"{name} {'DESC' if way < 0 else 'ASC'}" for name, way in fields]
        self._order = ", ".join([*(order if self.is_ordered else []), "seq"])

    def _condition(self, demand, names):
        parts, values = [], []
        for field, keys in demand.alternatives:
            name = names.get(field)
            if name is None:
                return None
            if demand.range is not None:
                low, high = demand.range.span(1)
                parts.append(f"({name} >= ? AND {name} < ?)")
                values += [low, high]
                if _has_lists(name):
                    return None
                continue
            marks = ",".join("?" * len(keys))
            parts.append(f"{name} IN ({marks})")
            values += keys
            if _has_lists(name):
                parts.append(f"seq IN (SELECT seq FROM of_{name} WHERE key IN ({marks}))")
                values += keys
        return f"({' OR '.join(parts)})", values

    def sequence(self) -> Iterator[int]:
        """Yield the places of the documents to look at."""
        query = f"SELECT seq {self._from} ORDER BY {self._order}"
        return (seq for (seq,) in COLUMNS.execute(query, self._values))

    def count(self) -> int:
        """Return how many there are."""
        return COLUMNS.execute(f"SELECT count(*) {self._from}", self._values).fetchone()[0]


def _columns(table) -> dict[str, str]:
    fields = {field: None for index in table.indices.values() for field, _ in index.fields}
    return {field: f"c{number}" for number, field in enumerate(fields)}


def _has_lists(name: str) -> bool:
    return COLUMNS.execute(f"SELECT 1 FROM of_{name} LIMIT 1").fetchone() is not None


def fill(records: CollectionRecords) -> float:
    """Make the columns of what is stored; return the seconds that writing them took."""
    names = _columns(records.table)
    COLUMNS.execute(
        f"CREATE TABLE documents ({', '.join(['seq INTEGER PRIMARY KEY', *names.values()])})"
    )
    for name in names.values():
        COLUMNS.execute(f"CREATE TABLE of_{name} (key, seq, PRIMARY KEY (key, seq)) WITHOUT ROWID")
    for index in records.table.indices.values():
        parts = [f"{names[f]} {'DESC' if way < 0 else 'ASC'}" for f, way in index.fields]
        COLUMNS.execute(f"CREATE INDEX i{index.number} ON documents ({', '.join(parts)}, seq)")
    seconds = 0.0
    for seq, stored in records.connection.execute(f"SELECT seq, body FROM {records.table.name}"):
        values = Values(bson.decode(without_tail(stored)))
        row, beside = [seq], []
        for field, name in names.items():
            keys, is_simple = values.keys(field, 1)
            row.append(next(iter(keys)) if is_simple else OUTSIDE)
            beside += [(name, key, seq) for key in keys if not is_simple]
        began = time.process_time()
        COLUMNS.execute(f"INSERT INTO documents VALUES ({','.join('?' * len(row))})", row)
        for name, key, place in beside:
            COLUMNS.execute(f"INSERT INTO of_{name} VALUES (?, ?)", (key, place))
        seconds += time.process_time() - began
    return seconds


def ours_written(records: CollectionRecords) -> float:
    """Return the seconds that writing the key tables of the store takes, into an empty file."""
    with tempfile.TemporaryDirectory() as folder:
        file = sqlite3.connect(Path(folder) / "keys.sqlite", isolation_level=None)
        tables = [index.table for index in records.table.indices.values()]
        for table in tables:
            file.execute(
                f"CREATE TABLE {table} (key BLOB NOT NULL, seq INTEGER NOT NULL, "
                "PRIMARY KEY (key, seq)) WITHOUT ROWID"
            )
        rows: dict[int, list[tuple[str, bytes]]] = {}
        for table in tables:
            for key, seq in records.connection.execute(f"SELECT key, seq FROM {table}"):
                rows.setdefault(seq, []).append((table, key))
        file.execute("PRAGMA synchronous = OFF")
        file.execute("BEGIN")
        began = time.process_time()
        for seq, keys in sorted(rows.items()):
            for table, key in keys:
                file.execute(f"INSERT INTO {table} VALUES (?, ?)", (key, seq))
        file.execute("COMMIT")
        seconds = time.process_time() - began
        print(f"keys: {(Path(folder) / 'keys.sqlite').stat().st_size / 1e6:.1f} MB")
        file.close()
    return seconds


class Timed:
    """A plan that notes how long finding the places takes, whatever is done with them."""

    seconds = 0.0

    def __init__(self, kind):
        self.kind = kind

    def __call__(self, *arguments):
        """Make a plan."""
        began = time.process_time()
        plan = self.kind(*arguments)
        self.seconds += time.process_time() - began
        found, plan_sequence = self, plan.sequence

        def sequence():
            places = plan_sequence()
            while True:
                began = time.process_time()
                seq = next(places, None)
                found.seconds += time.process_time() - began
                if seq is None:
                    return
                yield seq

        plan.sequence = sequence
        return plan


def asked(address: str, ask, sort) -> tuple[float, list[str]]:
    """Return the seconds of a question, and what it found."""
    with connect(address, read_only=True) as connection:
        began = time.process_time()
        found = list(connection.results.ask("outcomes", ask, sort=sort, limit=50))
        return time.process_time() - began, [item.candidate_id for item in found]


def main() -> None:
    """Print a table of both."""
    global COLUMNS  # noqa: PLW0603 -- a prototype
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", help="folder that results_query.py --keep has filled")
    address = parser.parse_args().store
    with tempfile.TemporaryDirectory() as folder:
        COLUMNS = sqlite3.connect(Path(folder) / "columns.sqlite", isolation_level=None)
        COLUMNS.execute("PRAGMA synchronous = OFF")
        with connect(address, read_only=True) as connection:
            file = connection.database.file
            with file.transaction():
                records = CollectionRecords.existing(file, "jobs")
                COLUMNS.execute("BEGIN")
                seconds = fill(records)
                COLUMNS.execute("COMMIT")
                size = (Path(folder) / "columns.sqlite").stat().st_size
                print(f"columns: {size / 1e6:.1f} MB")
                print(f"writing the columns {seconds:.2f} s")
                print(f"the keys {ours_written(records):.2f} s")
        kinds = {"ours": QueryPlan, "columns": ColumnPlan, "analyzed": ColumnPlan}
        head = "".join(f"{name:>10s}{'places':>9s}" for name in kinds)
        print(f"{'question (ms)':36s}{head}   same answer")
        rows = {question: {} for question in QUESTIONS}
        for name, kind in kinds.items():
            if name == "analyzed":
                COLUMNS.execute("ANALYZE")
            for question, (ask, sort) in QUESTIONS.items():
                best = None
                for _ in range(3):
                    timed = Timed(kind)
                    with mock.patch.object(collection, "QueryPlan", timed):
                        whole, found = asked(address, ask, sort)
                    if best is None or whole < best[0]:
                        best = (whole, timed.seconds, found)
                rows[question][name] = best
        for question, row in rows.items():
            numbers = "".join(f"{1e3 * w:10.1f}{1e3 * p:9.2f}" for w, p, _ in row.values())
            same = len({tuple(found) for _, _, found in row.values()}) == 1
            print(f"{question:36s}{numbers}   {same}")


if __name__ == "__main__":
    main()
