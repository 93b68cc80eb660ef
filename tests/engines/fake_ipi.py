"""A stand-in for programs that serve forces over i-PI's protocol: springs to where atoms began.

The socket is named as for pw.x, or in the input behind the word ``socket``.

``FAKE_IPI`` names a folder. Its file ``events.json`` says what goes wrong: a list of [n, what],
where n counts the geometries that all starts were asked for: ``die`` (SIGKILL), ``freeze``, ``scf``
(electrons that do not converge), ``exit`` (with a word on stderr). Each happens once, and the
geometry is then not answered.
"""

import json
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path

SPRING, HARTREE, BOHR = 0.05, 27.211386, 0.52917721  # Hartree/bohr^2

folder = Path(os.environ["FAKE_IPI"])
note = folder / "events.json"
origin = folder / "origin.json"
counter = folder / "asked"
(folder / "starts").open("a").write(f"{os.getpid()}\n")
told = Path(sys.argv[sys.argv.index("-inp") + 1]).read_text()
(folder / "last.in").write_text(told)
sys.stdout.write("     Program PWSCF v.6.7MaX starts on\n")
sys.stdout.flush()
if "--ipi" in sys.argv:
    name = sys.argv[sys.argv.index("--ipi") + 1].partition(":")[0]
else:  # as other programs are told
    name = told.partition("socket ")[2].split()[0]
server = socket.socket(socket.AF_UNIX)
server.connect(f"/tmp/ipi_{name}")


def take(n):
    data = b""
    while len(data) < n:
        more = server.recv(n - len(data))
        if not more:
            sys.exit(0)
        data += more
    return data


def write(file, text):
    """Write a file so that a signal leaves it whole or as it was."""
    file.with_suffix(".new").write_text(text)
    file.with_suffix(".new").replace(file)


def say(word):
    server.sendall(word.encode().ljust(12))


def misbehave(asked):
    events = json.loads(note.read_text()) if note.exists() else []
    due = [what for n, what in events if n == asked]
    for what in due:
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "freeze":
            write(folder / "frozen", str(os.getpid()))
            time.sleep(600)
        if what == "scf":
            sys.stdout.write("     convergence NOT achieved after 100 iterations: stopping\n")
            sys.exit(0)
        if what == "exit":
            sys.exit("it is Monday")


has_data = False
energy, forces = 0.0, []
while (message := take(12).decode().strip()) != "EXIT":
    if message == "STATUS":
        say("HAVEDATA" if has_data else "READY")
    elif message == "POSDATA":
        take(144)
        (n,) = struct.unpack("i", take(4))
        positions = struct.unpack(f"{3 * n}d", take(24 * n))
        asked = int(counter.read_text()) + 1 if counter.exists() else 1
        write(counter, str(asked))
        misbehave(asked)
        if not origin.exists():
            write(origin, json.dumps([x + 0.1 for x in positions]))
        moves = [x - x0 for x, x0 in zip(positions, json.loads(origin.read_text()), strict=True)]
        energy = 0.5 * SPRING * sum(x * x for x in moves)
        forces = [-SPRING * x for x in moves]
        has_data = True
    elif message == "GETFORCE":
        say("FORCEREADY")
        virial = [energy, 0.0, 0.0, 0.0, energy, 0.0, 0.0, 0.0, energy]
        server.sendall(struct.pack("di", energy, len(forces) // 3))
        server.sendall(struct.pack(f"{len(forces)}d", *forces))
        server.sendall(struct.pack("9di", *virial, 0))
        has_data = False
