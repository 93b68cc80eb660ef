"""Every printed command of analysis, methods and screening is really run, on small stand-ins.

What reads or submits campaigns is in test_tasks.py and, from top to end, in test_tutorials.py.
"""

import shutil

import click
import pytest

from ssefw.cli import ssefw as program
from tests.cli.calculate.test_potential import QUICK as TAUGHT
from tests.conftest import REPOSITORY, call_ssefw
from tests.docs.commands import PAGES, command_lines
from tests.docs.stand_ins import lay_out

RUN = {
    "analyze", "bvse", "converge", "labels", "neb", "plan", "pool", "potential", "report",
    "results", "screen",
}  # fmt: skip
TUTORIALS = REPOSITORY / "docs/tutorials"
"""Pages that are followed line by line."""

PLACES = {"neb": "small", "potential frames": "alloys", "potential train": "alloys"}
"""Where files of the printed names hold what is computed in seconds."""

NOT_RUN = {
    "converge Li2S.cif --figure series.png": "pw.x computes for minutes",
    "neb Li2S.cif --engine espresso": "pw.x computes for hours",
    "neb Li2S.cif --engine vasp": "needs VASP's licence",
    "plan FILE --inputs": "needs pseudopotentials; tests/cli/test_plan_inputs.py has some",
    "pool fetch optimade": "asks a server; tests/data/test_optimade.py asks one of its own",
    "potential card my_package.MyCalculator": "a calculator that the reader has",
    "screen train --system mine": "a system that the reader writes",
    "screen validate --system mine": "a system that the reader writes",
}
"""Lines that cannot be run here, by their beginning, and why."""
SLOW = (
    "analyze 600K", "bvse", "neb", "pool order", "potential card 3f2a91", "potential card ssefw.",
    "potential show", "potential train", "report",
    "results export LiCl -o licl/ --frames 100", "screen",
)  # fmt: skip
"""Lines that take more than a second or two, by their beginning."""

ENDS = {"potential train --frames": 1, "potential train --base": 1}
"""Exit codes that are right: what is compared with no motion, or for 50 steps, is not accepted."""

STAND_FOR = {
    "FILES": ["600K/XDATCAR", "--temperature", "600", "--timestep", "2", "--stride", "10"],
    "FILE": ["campaign.yaml"],
    "KIND": ["groups"],
    "MODEL": ["obelix.model"],
    "LGPS": ["Cu"],
    "LiCl": ["Cu"],
    "quickstart": ["small"],
}
"""Words of a page in the place of which a reader writes others, and names of what is computed."""

PRINTED_HASH = "3f2a91"
"""Of a potential, for which that of one that is there stands."""

MADE_BY = {
    "starter.model": "screen train --labels starter --out starter.model",
    "obelix.model": "screen train --labels obelix_train.csv --out obelix.model",
    "sets.model": "screen train --system atomsets --labels obelix_train.csv --out sets.model",
    "clusters.model": "screen train --system clustering",
    "xrd.model": "screen train --system xrdmatch --labels obelix_train.csv --structures cifs.zip "
    "--pool",
    "mc.model": "screen train --system atomsets --labels obelix_train.csv --out sets.model",
    "obelix.json.gz": "labels import obelix_train.csv",
    "mchaffie.json": "labels import mchaffie_database_train.csv",
}
"""Which line makes what others read."""

NETWORKS = "networks=[{epochs: 3, neurons: 8, readout: 4}]"
QUICK = {
    "composition": ["n_splits=2", "members=[dt, nb]"],
    "conductivity": ["folds=2"],
    "consensus": [
        "folds=2",
        (
            "systems={trees: {system: composition, n_splits: 2, members: [dt]}, "
            "bayes: {system: composition, n_splits: 2, members: [nb]}}"
        ),
    ],
    "atomsets": ["runs=2", NETWORKS],
    "clustering": [],
    "kang2022": ["n_splits=2", "members=[dt, nb]"],
    "mchaffie2025": ["runs=2", "source=chgnet", "layer=elements", "representation=CAMN", NETWORKS],
    "sendek2017": ["n_splits=2"],
    "xrdmatch": ["members=2", "iterations=20", "batch=8"],
}
"""Settings with which a system learns in seconds what it takes minutes or hours for."""
DEFAULT = "conductivity"
SPRINGY = [
    *("--set", "calculator=ase.calculators.lj.LennardJones"),
    *("--set", "options={sigma: 2.3, epsilon: 0.05, rc: 5.0}"),
    *("--no-relax", "--fmax", "1.0", "--end-fmax", "1.0", "--min-length", "5", "--images", "3"),
]
"""A potential that knows every element, for bands that are soon converged."""


def quick(words):
    """Return words that make a command quick, to be added."""
    change = CHANGES.get(" ".join(words[:2])) or CHANGES.get(words[0])
    return change(words) if change else []


def _of_training(words):
    system = words[words.index("--system") + 1] if "--system" in words else DEFAULT
    names = [name for name in QUICK[system] if "model=svm" not in words or "iter" not in name]
    return ["--workers", "1", *(word for name in names for word in ("--set", name))]


def _of_validation(words):
    named = [words[k + 1] for k, word in enumerate(words) if word == "--system"]
    systems = list(QUICK) if "all" in named else named or [DEFAULT]
    changes = [f"{name}.{change}" for name in systems for change in QUICK[name]]
    if "--member" in words and "composition" not in systems:
        changes.append("composition.n_splits=2")
    changes = [word for name in changes for word in ("--set", name)]
    return ["-k", "2", "--repeats", "1", "--workers", "1", *changes]


FROM_FRAMES = ["--specie", "Ag", *TAUGHT[10:], "--set", "explore_temperatures=[500]"]
TUNED = [
    "fit.steps=50", "fit.radial_cutoff=4.5", "fit.angular_cutoff=3.8", "refits=1",
    "refit_steps=20", "members=2", "windows=1", "longest=0.2", "stable=0.1",
]  # fmt: skip


def _of_teaching(words):
    if "--base" in words:
        return ["--specie", "Ag", *(word for name in TUNED for word in ("--set", name))]
    return FROM_FRAMES if "--frames" in words else TAUGHT


CHANGES = {
    "bvse": lambda _: ["--resolution", "0.5"],
    "neb": lambda _: SPRINGY,
    "potential train": _of_teaching,
    "screen patterns": lambda _: ["--votes", "1"],
    "screen train": _of_training,
    "screen validate": _of_validation,
}
"""What is added to the words of a command."""


def is_mention(line):
    """Whether prose names a command without what it needs."""
    command, context = program, click.Context(program)
    words = list(line.words)
    while words and isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        if found is None:
            break
        command, words = found, words[1:]
    if isinstance(command, click.Group):
        return not command.invoke_without_command
    if any(not word.startswith("-") for word in words):
        return False
    return any(item.required for item in command.params) or line.words == ("potential", "train")


LINES = {
    " ".join(line.words): list(line.words)
    for page in PAGES
    if page.parent != TUTORIALS
    for line in command_lines(page)
    if line.words[0] in RUN and not is_mention(line)
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, finished_campaign):
    """A folder with what pages take for granted. Its store is a copy: printed lines write, too."""
    folder = tmp_path_factory.mktemp("printed")
    lay_out(folder)
    shutil.copytree(finished_campaign[0] / "st", folder / "st")
    for name in ("demo", "mine", "results", "ssefw-store"):
        (folder / name).symlink_to(folder / "st")
    return folder


@pytest.fixture
def run(folder, capsys, monkeypatch):
    """Run a printed line, and first those that make what it reads."""
    monkeypatch.setenv("SSEFW_POTENTIALS", str(folder / "potentials"))
    monkeypatch.setenv("SSEFW_SCRATCH", str(folder / "scratch"))
    monkeypatch.setattr("ssefw.screening.baselines.TREES", 10)

    def call(words):
        for word in words:
            maker = MADE_BY.get(word)
            if maker and not (folder / word).exists() and not " ".join(words).startswith(maker):
                line = next(line for line in LINES if line.startswith(maker))
                call(LINES[line])
                made = folder / line.rpartition(" ")[2]
                if not (folder / word).exists():
                    shutil.copy(made, folder / word)
        if PRINTED_HASH in words:
            call(["potential", "add", "nep.txt"])
            if not _potentials(folder, words):
                pytest.skip("shows what the line before has trained, which did not run")
        names = STAND_FOR | {PRINTED_HASH: _potentials(folder, words)[:1]}
        words = [other for word in words for other in names.get(word, [word])]
        place = folder / PLACES.get(" ".join(words[:1]), PLACES.get(" ".join(words[:2]), "."))
        code = call_ssefw(*words, *quick(words), folder=place)
        out, err = capsys.readouterr()
        line = " ".join(words)
        expected = next((n for start, n in ENDS.items() if line.startswith(start)), 0)
        assert code == expected, f"ssefw {' '.join(words)}\n{out}{err}"
        return out

    return call


def _potentials(folder, words):
    """Return hashes of potentials that are there, to be shown those that are on record."""
    paths = (folder / "potentials").glob("*.json" if "show" in words else "*.nep")
    return sorted(path.stem for path in paths)


def test_the_table_of_what_is_not_run_names_lines_that_there_are():
    for beginning in NOT_RUN:
        assert any(line.startswith(beginning) for line in LINES), beginning


def _parameters():
    for line, words in LINES.items():
        marks = []
        reason = next((why for start, why in NOT_RUN.items() if line.startswith(start)), None)
        if reason is not None and "--dry-run" not in words:
            marks.append(pytest.mark.skip(reason=reason))
        if line.startswith(SLOW):
            marks.append(pytest.mark.slow)
        yield pytest.param(words, id=line[:70], marks=marks)


@pytest.mark.parametrize("words", [*_parameters()])
def test_a_printed_command_does_what_its_page_says(run, words):
    run(words)
