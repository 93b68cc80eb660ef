"""A stand-in for pw.x and neb.x: plays recorded outputs, one for each call, in a folder of scripts.

``FAKE_ESPRESSO`` names the folder; call k writes the text of ``k.out`` to its output, copies the
files of the folder ``k`` if there is one, and ends with the code in ``k.code``. A script ``k.wait``
lets it wait for the EXIT file first, as the real programs do between iterations.
"""

import os
import shutil
import sys
import time
from pathlib import Path

script = Path(os.environ["FAKE_ESPRESSO"])
counter = script / "count"
number = int(counter.read_text()) + 1 if counter.exists() else 1
counter.write_text(str(number))
shutil.copy(sys.argv[sys.argv.index("-inp") + 1], script / f"{number}.in")
if (script / f"{number}.wait").exists():
    end = time.monotonic() + 20
    while not list(Path().glob("*.EXIT")) and time.monotonic() < end:
        time.sleep(0.05)
if (script / str(number)).is_dir():
    shutil.copytree(script / str(number), Path(), dirs_exist_ok=True)
sys.stdout.write((script / f"{number}.out").read_text())
code = script / f"{number}.code"
sys.exit(int(code.read_text()) if code.exists() else 0)
