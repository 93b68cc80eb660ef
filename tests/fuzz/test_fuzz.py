"""Every reader, given files that were damaged at random, gives a value or one line that says why.

Each reader gets a few dozen files here; by hand it may be thousands::

    SSEFW_FUZZ=5000 nice python -m pytest tests/fuzz -q
"""

import contextlib
import gzip
import io
import os
import resource
import signal
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from ssefw.analysis.readers import read_frames
from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.queueing.site import read_site
from ssefw.data.labels.sets import load_label_set, save_label_set
from ssefw.data.labels.sources import starter_labels
from ssefw.data.labels.tables import read_label_table
from ssefw.data.materials import Material, read_materials
from ssefw.data.pools import read_pool
from ssefw.engines.students.lessons import read_student
from ssefw.errors import SsefwError
from ssefw.files import printable
from ssefw.nep import NEP
from ssefw.nep.angular import N_INVARIANTS
from ssefw.nep.model import read_nep
from ssefw.screening.base import load_screener, make_screener, save_screener
from ssefw.screening.filters.phases import read_phases
from ssefw.settings import load_settings
from ssefw.store.address import Address
from tests.analysis.readers.test_readers import TIME, written
from tests.conftest import CAMPAIGN
from tests.data.test_labels import OBELIX
from tests.fuzz.mutations import TOKENS, damaged
from tests.screening.conftest import sulfides_and_oxides
from tests.screening.test_screeners import QUICK

EXAMPLES = int(os.environ.get("SSEFW_FUZZ", "40"))
SECONDS = 20
"""Processor time that a file of some kilobytes may take, also on a slow machine."""
MEMORY = 3 * 2**30
"""Bytes beyond what the process has."""
ROOT = Path(__file__).parents[2]
LIF = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.03), ["Li", "F"], [[0] * 3, [0.5] * 3])
SMALL = Structure(Lattice.cubic(3), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])


class EndlessError(Exception):
    """A reader took more processor time than a file of this size is worth."""


@contextlib.contextmanager
def bounded():
    """Let the reader take so much processor time and memory, whatever else the machine does."""

    def stop(*_):
        raise EndlessError

    before = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    old = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, before[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, old)
        resource.setrlimit(resource.RLIMIT_AS, before)


def check(read, path):
    """Assert that reading gives a value, or an error of single lines that name the file."""
    with bounded():
        try:
            return read(path)
        except SsefwError as error:
            for line in getattr(error, "mistakes", (str(error),)):
                text = " ".join(line.split())
                assert path.name in text, text
                assert "Traceback" not in text
                assert len(text) < 2000, text
        return None


def fuzzed(seeds, *, name):
    """Run a test on damaged files, written under a name."""

    def decorate(test):
        def run(content, folder):
            path = folder / name
            path.write_bytes(content)
            test(path)

        @pytest.mark.filterwarnings("ignore")
        @given(content=damaged(seeds))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )
        def wrapped(folder, content):
            run(content, folder)

        wrapped.__name__ = test.__name__
        wrapped.__doc__ = test.__doc__
        return wrapped

    return decorate


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def as_bytes(write, name):
    """Return what a function writes to a file of this name."""
    with tempfile.TemporaryDirectory() as place:
        write(Path(place) / name)
        return (Path(place) / name).read_bytes()


# Campaigns, settings, sites and addresses.

CAMPAIGNS = [
    CAMPAIGN.encode(),
    *(path.read_bytes() for path in (ROOT / "workflows").glob("*.yaml")),
]


@fuzzed(CAMPAIGNS, name="fuzz.yaml")
def test_campaign_files(path):
    check(read_campaign, path)


@fuzzed(
    [b"store: /tmp/store\nworkers: 2\nthreads: 1\npatience: 60\nvasp_cmd: vasp\n"], name="s.yaml"
)
def test_settings_files(path):
    def read(place):
        os.environ["SSEFW_SETTINGS"] = str(place)
        try:
            return load_settings()
        finally:
            del os.environ["SSEFW_SETTINGS"]

    check(read, path)


@fuzzed(
    [b"scheduler: slurm\nresources: {walltime: 01:00:00, cores: 4}\nsetup: [module load vasp]\n"],
    name="queue.yaml",
)
def test_site_files(path):
    check(lambda place: read_site(place.parent), path)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ["mongodb://", "mongodb+srv://", "u:p@", "host", ":27017", "/db", "?blobs=", "/tmp",
                 "&x=1", "%2F", "%", "~", "~nosuchuser", "\0", "\ud800", "//", "..", "postgres://"]
            ),
            st.text(max_size=5),
        ),
        max_size=6,
    )
)  # fmt: skip
@settings(max_examples=max(EXAMPLES, 200), deadline=None)
def test_store_addresses(parts):
    with contextlib.suppress(SsefwError):
        address = Address("".join(parts))
        assert isinstance(str(address), str)
        assert isinstance(address.uri, str)
        assert address.blob_folder is None or isinstance(address.blob_folder, Path)


# Pools.

RECORD = b'{"id": "a", "lattice": [3, 3, 3, 90, 90, 90], "species": ["Li", "F"], '
JSON_LINES = [
    RECORD + b'"frac": [[0, 0, 0], [0.5, 0.5, 0.5]], "band_gap": 8.7}\n',
    b'{"structure": ' + SMALL.to(fmt="json").encode() + b', "name": "lif"}\n',
    SMALL.to(fmt="json").encode() + b"\n",
]
CIFS = [LIF.to(fmt="cif").encode(), LIF.to(fmt="cif", symprec=0.01).encode()]
TABLE = b'cif,name,e_hull\n"' + CIFS[0].replace(b'"', b'""') + b'",lif,0.01\n'


def zipped(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.cif", content)
        archive.writestr("POSCAR", LIF.to(fmt="poscar"))
    return file.getvalue()


def check_pool(path):
    pool = check(read_pool, path)
    for candidate in pool.candidates if pool else ():
        assert candidate.structure.volume > 0.1
        assert np.isfinite(candidate.structure.frac_coords).all()
        assert all(0 < site.species.num_atoms <= 1.05 for site in candidate.structure)
        candidate.model_dump(mode="json")
    for reject in pool.rejects if pool else ():
        assert printable(reject.reason) == reject.reason
        assert path.name in reject.source or path.suffix == ".zip"
    return pool


def build_all(path):
    for row in read_materials(path):
        if isinstance(row, Material) and row.build is not None:
            with contextlib.suppress(SsefwError):
                assert row.structure.volume > 0.1


@fuzzed(CIFS, name="fuzz.cif")
def test_cifs(path):
    check_pool(path)


@fuzzed([LIF.to(fmt="poscar").encode()], name="POSCAR-fuzz")
def test_poscars(path):
    check_pool(path)


@fuzzed(JSON_LINES, name="fuzz.jsonl")
def test_pools_of_json_lines(path):
    check_pool(path)
    check(build_all, path)


@fuzzed([TABLE, b"formula,e_hull\nLi3N,0.0\nLi2S,0.1\n"], name="fuzz.csv")
def test_pools_as_tables(path):
    check_pool(path)
    check(build_all, path)


@fuzzed([gzip.compress(JSON_LINES[0] * 20, mtime=0)], name="fuzz.jsonl.gz")
def test_packed_pools(path):
    check_pool(path)


@fuzzed([zipped(CIFS[0])], name="fuzz.zip")
def test_zips(path):
    check_pool(path)


@fuzzed([b'{"formula": "Li2S", "e_form_ev_atom": -1.4}\n{"formula": "Li", "e_form_ev_atom": 0}\n'],
        name="phases.jsonl")  # fmt: skip
def test_phases(path):
    check(read_phases, path)


# Trajectories.


def trajectories(*formats, **options):
    return [as_bytes(lambda path, f=f: written(path, f, **options), "run") for f in formats]


def frames_of(path, file_format):
    given = {} if file_format == "espresso" else TIME
    if file_format not in {"espresso", "lammps"}:
        given = {**given, "stride": 1}
    frames = check(lambda place: read_frames(place, file_format=file_format, **given), path)
    if frames is not None:
        assert np.isfinite(frames.positions).all()
        assert (np.abs(np.linalg.det(np.atleast_3d(frames.lattice).reshape(-1, 3, 3))) > 0.1).all()
    return frames


@fuzzed(trajectories("xdatcar") + trajectories("xdatcar", breathes=True), name="XDATCAR")
def test_xdatcars(path):
    frames_of(path, "xdatcar")


@fuzzed(trajectories("vasprun"), name="vasprun.xml")
def test_vaspruns(path):
    frames_of(path, "vasprun")


@fuzzed(trajectories("lammps"), name="fuzz.dump")
def test_dumps(path):
    frames_of(path, "lammps")


@fuzzed(trajectories("extxyz"), name="fuzz.xyz")
def test_extended_xyz(path):
    frames_of(path, "extxyz")


@fuzzed(trajectories("ase"), name="fuzz.traj")
def test_trajectories_of_ase(path):
    frames_of(path, "ase")


@fuzzed([(ROOT / "tests/data/espresso_md/md.out").read_bytes()], name="pw.out")
def test_outputs_of_pw(path):
    frames_of(path, "espresso")


@fuzzed(
    [content for f in ("xdatcar", "vasprun", "lammps", "extxyz") for content in trajectories(f)],
    name="any",
)
def test_trajectories_of_a_format_that_is_guessed(path):
    frames_of(path, None)


# Labels and models.

PLAIN = b"formula,sigma (S/cm),T (K),id,doi\nLi3N,5.8e-4,300,a,10.1/x\nLi2S,<1e-10,298,b,\n"
LASKOWSKI = b"Li3N,5.8e-4,1,123\nLi2S,1e-9,1,124\n"


@fuzzed([PLAIN, OBELIX.encode(), LASKOWSKI], name="labels.csv")
def test_tables_of_labels(path):
    labels = check(read_label_table, path)
    if labels is not None:
        assert all(label.conductivity.unit == "S/cm" for label in labels.labels)
        assert isinstance(labels.version, str)


@fuzzed(
    [as_bytes(lambda path: save_label_set(starter_labels(), path), "set.json")], name="set.json"
)
def test_saved_sets_of_labels(path):
    check(load_label_set, path)


@pytest.fixture(scope="module")
def toy():
    return sulfides_and_oxides()


@pytest.fixture(scope="module")
def model(toy, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "good.model"
    save_screener(make_screener("composition", QUICK["composition"]).fit(toy), path)
    return path.read_bytes()


@pytest.mark.filterwarnings("ignore")
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_saved_models(folder, model, toy, data):
    path = folder / "fuzz.model"
    path.write_bytes(data.draw(damaged([model])))
    screener = check(load_screener, path)
    if screener is not None:
        with contextlib.suppress(SsefwError):
            assert np.isfinite(screener.score(toy.materials[:3]).probability).all()


SMALL_NEP = NEP(
    species=("F", "Li"),
    radial_cutoff=5.0,
    angular_cutoff=4.0,
    first=np.ones((2, 3, 2 + N_INVARIANTS)),
    bias=np.zeros((2, 3)),
    last=np.ones((2, 3)),
    offset=0.5,
    radial=np.ones((4, 2, 3)),
    angular=np.ones((4, 1, 3)),
    scale=np.ones(2 + N_INVARIANTS),
    low=np.zeros((2, 2 + N_INVARIANTS)),
    high=np.ones((2, 2 + N_INVARIANTS)),
)
"""A fast potential of the least size."""


def check_potential(read, path):
    model = check(read, path)
    if model is not None:
        assert all(np.isfinite(array).all() for array in (model.first, model.radial, model.scale))
        assert 0 < model.angular_cutoff <= model.radial_cutoff


@fuzzed([SMALL_NEP.nep_txt().encode()], name="nep.txt")
def test_potentials_of_gpumd(path):
    check_potential(read_nep, path)


@fuzzed([SMALL_NEP.to_bytes()], name="fuzz.nep")
def test_fast_potentials(path):
    check_potential(read_student, path)


def test_every_token_alone_is_no_file(folder):
    for token in TOKENS:
        for name in ("a.cif", "POSCAR", "a.jsonl", "a.csv", "a.yaml", "a.zip"):
            path = folder / name
            path.write_bytes(token)
            check(read_campaign if name == "a.yaml" else read_pool, path)
