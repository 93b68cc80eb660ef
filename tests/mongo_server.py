"""A server that speaks MongoDB's wire protocol, to be killed and started again by tests.

    python tests/mongo_server.py PORT FOLDER

It prints its port, which it chooses itself where PORT is 0.

What comes over the wire goes to embedded stores, a folder below FOLDER for each database, so that
what it acknowledged survives a ``kill -9``. It knows the commands that this project uses. It is a
standalone server: without sessions, pymongo does not repeat a write of which it does not know
whether it arrived.
"""

import itertools
import shutil
import socketserver
import struct
import sys
import threading
from pathlib import Path

import bson
from pymongo.errors import BulkWriteError, OperationFailure

from ssefw.store import Address
from ssefw.store.embedded.database import open_database

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
BATCH, BATCH_BYTES = 1000, 8_000_000
HELLO = {
    "helloOk": True,
    "ismaster": True,
    "isWritablePrimary": True,
    "maxBsonObjectSize": 16 * 2**20,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "readOnly": False,
}


class Server:
    """The databases of a folder, and what is asked of them."""

    def __init__(self, folder):
        self.folder = folder
        self.databases = {}
        self.cursors = {}
        self.numbers = itertools.count(1)
        self.lock = threading.RLock()

    def database(self, name):
        with self.lock:
            if name not in self.databases:
                self.databases[name] = open_database(Address(self.folder / name), create=True)
            return self.databases[name]

    def loses_reply_to(self, verb):
        """Whether a test asked that the connection breaks after the next command of a kind."""
        note = self.folder / f"lose-{verb.lower()}"
        if not note.exists():
            return False
        note.unlink()
        return True

    def answer(self, command):
        """Return the reply to a command."""
        verb = next(iter(command))
        method = getattr(self, f"do_{verb.lower()}", None)
        if method is None:
            return {"ok": 0.0, "errmsg": f"no such command: {verb!r}", "code": 59,
                    "codeName": "CommandNotFound"}  # fmt: skip
        try:
            return method(command, command.get("$db", "admin")) | {"ok": 1.0}
        except OperationFailure as error:
            return {"ok": 0.0, "errmsg": str(error), "code": error.code or 2}
        except Exception as error:  # noqa: BLE001 - a server answers and goes on
            return {"ok": 0.0, "errmsg": f"{type(error).__name__}: {error}", "code": 2}

    def do_hello(self, command, name):
        return dict(HELLO)

    do_ismaster = do_hello

    def do_ping(self, command, name):
        return {}

    do_endsessions = do_killcursors = do_ping

    def do_buildinfo(self, command, name):
        return {"version": "7.0.0", "versionArray": [7, 0, 0, 0]}

    def do_dropdatabase(self, command, name):
        with self.lock:
            if name in self.databases:
                self.databases.pop(name).file.close()
            shutil.rmtree(self.folder / name, ignore_errors=True)
        return {}

    def do_listcollections(self, command, name):
        found = self.database(name).list_collection_names()
        return self.batch(
            f"{name}.$cmd.listCollections",
            iter([{"name": item, "type": "collection", "options": {}} for item in found]),
        )

    def do_drop(self, command, name):
        self.database(name)[command["drop"]].drop()
        return {}

    def do_createindexes(self, command, name):
        collection = self.database(name)[command["createIndexes"]]
        for index in command["indexes"]:
            options = {key: index[key] for key in ("unique", "sparse") if index.get(key)}
            collection.create_index(list(index["key"].items()), name=index["name"], **options)
        return {}

    def do_listindexes(self, command, name):
        found = self.database(name)[command["listIndexes"]].index_information()
        listed = [
            {"v": 2, "key": dict(item["key"]), "name": key} for key, item in sorted(found.items())
        ]
        return self.batch(f"{name}.{command['listIndexes']}", iter(listed))

    def do_find(self, command, name):
        cursor = self.database(name)[command["find"]].find(
            command.get("filter", {}),
            command.get("projection") or None,
            skip=command.get("skip", 0),
            limit=abs(command.get("limit", 0)),
            sort=list(command.get("sort", {}).items()) or None,
        )
        return self.batch(f"{name}.{command['find']}", iter(cursor))

    def do_getmore(self, command, name):
        with self.lock:
            documents = self.cursors.pop(command["getMore"], iter(()))
        return self.batch(f"{name}.{command['collection']}", documents, "nextBatch")

    def do_aggregate(self, command, name):
        found = self.database(name)[command["aggregate"]].aggregate(command["pipeline"])
        return self.batch(f"{name}.{command['aggregate']}", iter(found))

    def do_count(self, command, name):
        collection = self.database(name)[command["count"]]
        return {"n": collection.count_documents(command.get("query", {}))}

    def do_distinct(self, command, name):
        collection = self.database(name)[command["distinct"]]
        # A server has the texts of a field from its index.
        texts = None if command.get("query") else collection.texts(command["key"])
        if texts is not None:
            return {"values": sorted(texts)}
        return {"values": collection.distinct(command["key"], command.get("query") or {})}

    def do_insert(self, command, name):
        documents = command["documents"]
        try:
            self.database(name)[command["insert"]].insert_many(
                documents, ordered=command.get("ordered", True)
            )
        except BulkWriteError as error:
            errors = [
                {key: item[key] for key in ("index", "code", "errmsg")}
                for item in error.details["writeErrors"]
            ]
            return {"n": error.details["nInserted"], "writeErrors": errors}
        return {"n": len(documents)}

    def do_update(self, command, name):
        database, n, modified, upserted = self.database(name), 0, 0, []
        collection = database[command["update"]]
        with database.file.transaction(write=True):
            for index, item in enumerate(command["updates"]):
                is_operator = isinstance(item["u"], list) or next(iter(item["u"]), "$")[0] == "$"
                many = collection.update_many if item.get("multi") else collection.update_one
                change = many if is_operator else collection.replace_one
                done = change(item["q"], item["u"], upsert=item.get("upsert", False))
                n += done.matched_count or (done.upserted_id is not None)
                modified += done.modified_count or 0
                if done.upserted_id is not None:
                    upserted.append({"index": index, "_id": done.upserted_id})
        return {"n": n, "nModified": modified, **({"upserted": upserted} if upserted else {})}

    def do_delete(self, command, name):
        database, n = self.database(name), 0
        collection = database[command["delete"]]
        with database.file.transaction(write=True):
            for item in command["deletes"]:
                remove = collection.delete_one if item["limit"] else collection.delete_many
                n += remove(item["q"]).deleted_count
        return {"n": n}

    def do_findandmodify(self, command, name):
        collection = self.database(name)[command["findAndModify"]]
        wanted = {
            "projection": command.get("fields"),
            "sort": list(command.get("sort", {}).items()) or None,
        }
        if command.get("remove"):
            return {"value": collection.find_one_and_delete(command["query"], **wanted)}
        update = command["update"]
        is_operator = isinstance(update, list) or next(iter(update), "$")[0] == "$"
        change = collection.find_one_and_update if is_operator else collection.find_one_and_replace
        found = change(
            command["query"],
            update,
            upsert=command.get("upsert", False),
            return_document=command.get("new", False),
            **wanted,
        )
        return {"value": found}

    def batch(self, namespace, documents, name="firstBatch"):
        """Return a part of an answer; the rest is kept under a number."""
        part, size = [], 0
        for document in documents:
            part.append(bson.raw_bson.RawBSONDocument(bson.encode(document)))
            size += len(part[-1].raw)
            if len(part) >= BATCH or size >= BATCH_BYTES:
                number = next(self.numbers)
                self.cursors[number] = documents
                break
        else:
            number = 0
        return {"cursor": {"id": bson.Int64(number), "ns": namespace, name: part}}


class Conversation(socketserver.BaseRequestHandler):
    """One client."""

    def handle(self):
        while head := self.exactly(16):
            length, request, _, code = struct.unpack("<iiii", head)
            body = self.exactly(length - 16)
            if body is None:
                return
            if code == OP_MSG:
                command = _command(body)
                reply = b"\0\0\0\0\0" + bson.encode(self.server.mongo.answer(command))
                answer_code = OP_MSG
                if self.server.mongo.loses_reply_to(next(iter(command))):
                    return
            elif code == OP_QUERY:
                start = body.index(b"\0", 4) + 9
                (size,) = struct.unpack_from("<i", body, start)
                asked = bson.decode(body[start : start + size])
                reply = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(
                    self.server.mongo.answer(asked)
                )
                answer_code = OP_REPLY
            else:
                return
            self.request.sendall(
                struct.pack("<iiii", 16 + len(reply), 0, request, answer_code) + reply
            )

    def exactly(self, count):
        parts = []
        while count:
            try:
                part = self.request.recv(min(count, 2**20))
            except OSError:
                return None
            if not part:
                return None
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def _command(body):
    """Return the command of a message, with the documents of its sequences."""
    command, place = {}, 4
    while place < len(body):
        kind = body[place]
        (size,) = struct.unpack_from("<i", body, place + 1)
        section = body[place + 1 : place + 1 + size]
        place += 1 + size
        if kind == 0:
            command = bson.decode(section) | command
        elif kind == 1:
            end = section.index(b"\0", 4)
            command[section[4:end].decode()] = bson.decode_all(section[end + 1 :])
    return command


class Listener(socketserver.ThreadingTCPServer):
    """Where clients connect."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 100


def main(port, folder):
    with Listener(("127.0.0.1", int(port)), Conversation) as listener:
        listener.mongo = Server(Path(folder))
        sys.stdout.write(f"{listener.server_address[1]}\n")
        sys.stdout.flush()
        listener.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
