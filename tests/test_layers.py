"""The rooms of ssefw import downward only, and heavy packages have one home."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import ssefw

LAYERS = [
    {"errors", "lazy", "progress", "units"},
    {"files", "masking", "mistakes", "processes"},
    {"settings", "documents", "schedulers", "shipped"},
    {"data", "analysis", "bvse", "nep"},
    {"screening", "engines", "store"},
    {"makers"},
    {"campaigns"},
    {"report"},
    {"api", "serve"},
    {"cli"},
    {"__init__", "__main__"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
ROOT = Path(ssefw.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
MOST_FILES = 20
"""Files of a room, its face among them, that one still takes in at a glance."""

# Where each heavy package may be imported from: a room, or one module of it.
HOMES = {
    "atomate2": {"engines"},
    "custodian": {"engines"},
    "fireworks": {
        "campaigns/running/worker.py",
        "campaigns/queueing/offline.py",
        "store/connection.py",
        "store/embedded/stores.py",
        "store/launchpad.py",
    },
    "maggma": {"store"},
    "pymongo": {"store"},
    "mongomock": {"store"},
    "gridfs": {"store"},
    "torch": {"engines", "screening"},
    # Beside dynamics, its element embeddings and layers are features of a screen.
    "chgnet": {"engines", "screening/atomsets/chgnet.py"},
    "sevenn": {
        "engines/potentials/sevennet_convert.py",
        "engines/potentials/sevennet_device.py",
    },
    "e3nn": {"engines/potentials/sevennet_convert.py"},
    "sklearn": {"screening", "data"},
    # In the API it is only the type of what is returned.
    "matplotlib": {"report", "api/analysis.py", "api/found.py", "api/plots.py"},
    "pandas": {"api"},
    "plotly": {"report"},
    "jobflow": {"makers", "campaigns", "store"},
    "rich": {"cli"},
    "starlette": {"serve", "cli/campaign/serve.py"},
    "uvicorn": {"serve/run.py", "cli/campaign/serve.py"},
    "click": {"cli"},
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_id(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_imports_point_down(path):
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in imported(path):
        package, _, rest = name.partition(".")
        there = rest.partition(".")[0]
        if package == "ssefw" and there in RANK and there != here:
            assert RANK[there] < RANK[here], f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_heavy_packages_are_imported_in_their_home_only(path):
    room = path.relative_to(ROOT).parts[0]
    for name in imported(path):
        homes = HOMES.get(name.partition(".")[0])
        if homes is not None:
            assert room in homes or module_id(path) in homes, f"{path} imports {name}"


def test_no_room_is_a_flat_drawer():
    trees = (ROOT, Path(__file__).parent)
    rooms = Counter(path.parent for tree in trees for path in tree.rglob("*.py"))
    assert not [str(room) for room, files in rooms.items() if files > MOST_FILES]


def test_every_room_says_in_a_line_what_lives_there():
    for face in ROOT.rglob("__init__.py"):
        said = ast.get_docstring(ast.parse(face.read_text()))
        assert said, face
        assert said.splitlines()[0].endswith("."), face


ONE_IDEA = {
    "Network": "of a potential, in the loops of each",
    "Preset": "of a code",
    "Process": "a process of the machine, and what a command's own is",
    "TaskSettings": "of a code's preset",
    "TrainingSettings": "of what is trained",
    "Evaluation": "what came of evaluating: a screen on labels, a potential on atoms",
}
"""Names that classes of two modules have for one idea."""


def test_a_name_of_a_class_means_one_thing():
    homes = Counter(
        node.name
        for path in MODULES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in homes.items() if count > 1} == set(ONE_IDEA)
