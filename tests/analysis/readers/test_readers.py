"""Every format gives back the frames that were written, whole or cut off."""

import bz2
import gzip

import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.io.trajectory import Trajectory
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.outputs import Xdatcar

from ssefw.analysis.readers import guess_format, read_frames, told_temperatures
from ssefw.analysis.runs import Run, check_temperature
from ssefw.errors import DataError

SYMBOLS = ["Li", "Li", "P", "S", "S"]
TRICLINIC = np.array([[6.0, 0.0, 0.0], [1.0, 5.0, 0.0], [-0.5, 0.7, 7.0]])


def fractional(n_frames=12, seed=0):
    rng = np.random.default_rng(seed)
    steps = rng.normal(scale=0.05, size=(n_frames, 5, 3))
    return np.cumsum(steps, axis=0) + rng.random((5, 3))


def cells(n_frames=12, *, breathes=False):
    scale = 1 + 0.01 * np.arange(n_frames) * breathes
    return TRICLINIC * scale[:, None, None]


def write_xdatcar(path, frac, lattices, *, breathes):
    structures = [
        Structure(Lattice(cell), SYMBOLS, f % 1.0) for cell, f in zip(lattices, frac, strict=True)
    ]
    head = "cell\n1.0\n{}\nLi P S\n2 1 2\n"
    text = ""
    for k, structure in enumerate(structures):
        if k == 0 or breathes:
            rows = "\n".join(" ".join(f"{x:.8f}" for x in row) for row in lattices[k])
            text += head.format(rows)
        text += f"Direct configuration= {k + 1:6d}\n"
        for row in structure.frac_coords:
            text += "  " + " ".join(f"{x:11.8f}" for x in row) + "\n"
    path.write_text(text)


def write_vasprun(path, frac, lattices, *, n_closed=None):
    atoms = "".join(f"<rc><c>{s:2s}</c><c> 1</c></rc>\n" for s in SYMBOLS)

    def structure(cell, coords):
        rows = [
            "".join(f"<v> {' '.join(f'{x:.8f}' for x in v)} </v>\n" for v in a)
            for a in (cell, coords)
        ]
        return (
            f'<structure>\n<crystal>\n<varray name="basis" >\n{rows[0]}</varray>\n</crystal>\n'
            f'<varray name="positions" >\n{rows[1]}</varray>\n</structure>\n'
        )

    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n<incar>\n'
        '<i type="int" name="IBRION">     0</i>\n<i name="POTIM">      2.00000000</i>\n</incar>\n'
        f'<atominfo>\n<array name="atoms" >\n<set>\n{atoms}</set>\n</array>\n</atominfo>\n'
        + structure(lattices[0], frac[0] * 0).replace(
            "<structure>", '<structure name="initialpos" >'
        )
    )
    for cell, coords in zip(lattices, frac % 1.0, strict=True):
        text += (
            "<calculation>\n<scstep>\n</scstep>\n"
            + structure(cell, coords)
            + '<energy>\n<i name="kinetic">      0.51704000 </i>\n</energy>\n</calculation>\n'
        )
    path.write_text(text + structure(lattices[-1], frac[-1]) + "</modeling>\n")


def write_lammps(path, frac, lattices, *, columns="id type x y z", order=(4, 0, 3, 1, 2)):
    text = ""
    for k, (cell, f) in enumerate(zip(lattices, frac, strict=True)):
        (lx, _, _), (xy, ly, _), (xz, yz, lz) = cell
        low_x, high_x = min(0, xy, xz, xy + xz), max(0, xy, xz, xy + xz)
        low_y, high_y = min(0, yz), max(0, yz)
        text += f"ITEM: TIMESTEP\n{k * 50}\nITEM: NUMBER OF ATOMS\n5\n"
        text += "ITEM: BOX BOUNDS xy xz yz pp pp pp\n"
        text += f"{low_x} {lx + high_x} {xy}\n{low_y} {ly + high_y} {xz}\n0 {lz} {yz}\n"
        text += f"ITEM: ATOMS {columns}\n"
        wrapped = (f if "xu" in columns else f % 1.0) @ cell
        for i in order:
            fields = {"id": i + 1, "type": "LiPS".find(SYMBOLS[i]) // 2 + 1, "element": SYMBOLS[i]}
            fields["type"] = {"Li": 1, "P": 2, "S": 3}[SYMBOLS[i]]
            for axis, value in zip("xyz", wrapped[i], strict=True):
                fields[axis] = fields[axis + "u"] = f"{value:.10f}"
            text += " ".join(str(fields[name]) for name in columns.split()) + "\n"
    path.write_text(text)


def ase_frames(frac, lattices):
    return [
        ase.Atoms(SYMBOLS, scaled_positions=f, cell=cell, pbc=True)
        for f, cell in zip(frac, lattices, strict=True)
    ]


def written(path, file_format, *, breathes=False):
    frac, lattices = fractional(), cells(breathes=breathes)
    if file_format == "xdatcar":
        write_xdatcar(path, frac, lattices, breathes=breathes)
    elif file_format == "vasprun":
        write_vasprun(path, frac, lattices)
    elif file_format == "lammps":
        write_lammps(path, frac, lattices)
    elif file_format == "extxyz":
        ase.io.write(path, ase_frames(frac % 1.0, lattices), format="extxyz")
    else:
        with Trajectory(path, "w") as trajectory:
            for atoms in ase_frames(frac, lattices):
                trajectory.write(atoms)
    expected = np.einsum("tni,tij->tnj", frac, lattices)
    return expected, lattices


TEXT_FORMATS = ["xdatcar", "vasprun", "lammps", "extxyz"]
ALL_FORMATS = [*TEXT_FORMATS, "ase"]
# A dump tells its steps; of the others, what lies between two frames must be given.
TIME = {"timestep": 2.0, "types": ("Li", "P", "S")}


def time_of(file_format):
    return TIME if file_format == "lammps" else TIME | {"stride": 1}


@pytest.mark.parametrize("breathes", [False, True], ids=["fixed cell", "variable cell"])
@pytest.mark.parametrize("file_format", ALL_FORMATS)
def test_a_file_gives_back_what_was_written(tmp_path, file_format, breathes):
    path = tmp_path / "run"
    expected, lattices = written(path, file_format, breathes=breathes)
    assert guess_format(path) == file_format
    frames = read_frames(path, **time_of(file_format))
    assert frames.species == tuple(SYMBOLS)
    steps = np.linalg.inv(lattices)
    moved = np.einsum("tni,tij->tnj", frames.positions, steps)
    wanted = np.einsum("tni,tij->tnj", expected, steps)
    np.testing.assert_allclose(moved - moved[0], wanted - wanted[0], atol=3e-8)
    np.testing.assert_allclose(np.broadcast_to(frames.lattice, lattices.shape), lattices, atol=1e-7)
    assert (frames.lattice.ndim == 3) is breathes
    assert frames.timestep == (100.0 if file_format == "lammps" else 2.0)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress], ids=["gz", "bz2"])
@pytest.mark.parametrize("file_format", TEXT_FORMATS)
def test_compressed_files_read_the_same_whatever_their_name(tmp_path, file_format, compress):
    path, packed = tmp_path / "run", tmp_path / "packed"
    written(path, file_format)
    packed.write_bytes(compress(path.read_bytes()))
    np.testing.assert_array_equal(
        read_frames(packed, **time_of(file_format)).positions,
        read_frames(path, **time_of(file_format)).positions,
    )


@pytest.mark.parametrize("file_format", ALL_FORMATS)
def test_a_file_cut_off_anywhere_gives_its_complete_frames(tmp_path, file_format):
    path, cut = tmp_path / "run", tmp_path / "cut"
    written(path, file_format, breathes=True)
    whole = read_frames(path, **time_of(file_format)).positions
    content = path.read_bytes()
    for length in np.linspace(len(content) // 2, len(content) - 1, 41).astype(int):
        cut.write_bytes(content[:length])
        try:
            part = read_frames(cut, file_format=file_format, **time_of(file_format)).positions
        except DataError:
            # The index of an ASE trajectory, written last, may point behind the end.
            assert file_format == "ase"
            continue
        assert 1 < len(part) <= len(whole)
        np.testing.assert_array_equal(part, whole[: len(part)])


def test_a_damaged_archive_gives_what_can_be_read(tmp_path):
    path, cut = tmp_path / "vasprun.xml", tmp_path / "vasprun.xml.gz"
    rng = np.random.default_rng(0)
    write_vasprun(path, rng.random((400, 5, 3)), cells(400))
    packed = gzip.compress(path.read_bytes())
    cut.write_bytes(packed[: len(packed) // 2])
    part, whole = read_frames(cut), read_frames(path)
    assert 50 < part.n_frames < 300
    np.testing.assert_array_equal(part.positions, whole.positions[: part.n_frames])


def test_a_vasprun_tells_its_time_step_and_temperature(tmp_path):
    path = tmp_path / "vasprun.xml"
    written(path, "vasprun")
    frames = read_frames(path)
    assert frames.timestep == 2.0
    # 2 E / (3 (5 - 1) k_B) with E = 0.51704 eV.
    np.testing.assert_allclose(frames.temperatures, 1000.0, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_an_xdatcar_of_vasp_reads_as_in_pymatgen(tmp_path):
    path = tmp_path / "XDATCAR"
    written(path, "xdatcar")
    theirs = np.array([s.frac_coords for s in Xdatcar(path).structures])
    ours = read_frames(path, **time_of("xdatcar"))
    frac = ours.positions @ np.linalg.inv(ours.lattice)
    difference = frac - theirs
    np.testing.assert_allclose(difference, np.rint(difference), atol=1e-12)


def test_ase_tells_the_temperature_where_momenta_were_written(tmp_path):
    atoms = ase.Atoms("LiF", [[0, 0, 0], [0, 0, 3]], cell=[6, 6, 6], pbc=True)
    atoms.calc = LennardJones()
    atoms.set_momenta([[0.5, 0, 0], [0, 0.5, 0]])
    with Trajectory(tmp_path / "md.traj", "w", atoms) as trajectory:
        trajectory.write()
        trajectory.write()
    frames = read_frames(tmp_path / "md.traj", timestep=1.0, stride=1)
    np.testing.assert_allclose(frames.temperatures, atoms.get_temperature())


@pytest.mark.parametrize(
    "columns", ["id element x y z", "type id vx xu yu zu", "id type xu yu zu c_q"]
)
def test_the_columns_of_a_dump_may_come_in_any_order(tmp_path, columns):
    path, plain = tmp_path / "dump", tmp_path / "plain"
    frac, lattices = fractional(), cells()
    write_lammps(plain, frac, lattices)
    names = [name for name in columns.split() if name not in {"vx", "c_q"}]
    write_lammps(path, frac, lattices, columns=" ".join(names))
    ours, theirs = read_frames(path, **TIME), read_frames(plain, **TIME)
    shift = (ours.positions[0] - theirs.positions[0]) @ np.linalg.inv(TRICLINIC)
    np.testing.assert_allclose(shift, np.rint(shift), atol=1e-7)
    np.testing.assert_allclose(
        ours.positions - ours.positions[0], theirs.positions - theirs.positions[0], atol=1e-7
    )


def test_segments_of_a_run_are_followed_across_their_seam(tmp_path):
    frac, lattices = fractional(20), cells(20)
    write_xdatcar(tmp_path / "whole", frac, lattices, breathes=False)
    write_xdatcar(tmp_path / "a", frac[:12], lattices[:12], breathes=False)
    write_xdatcar(tmp_path / "b", frac[12:], lattices[12:], breathes=False)
    whole = read_frames(tmp_path / "whole", timestep=2.0, stride=1)
    joined = read_frames([tmp_path / "a", tmp_path / "b"], timestep=2.0, stride=1)
    np.testing.assert_allclose(joined.positions, whole.positions, atol=1e-12)
    assert joined.breaks == ()


def test_what_a_segment_repeats_is_left_out_and_missing_time_is_a_break(tmp_path):
    frac, lattices = fractional(30), cells(30)
    for name, first, last in (("a", 0, 10), ("b", 7, 20), ("c", 25, 30)):
        write_lammps(tmp_path / name, frac[first:last], lattices[first:last])
        text = (tmp_path / name).read_text()
        for k in reversed(range(last - first)):
            text = text.replace(f"TIMESTEP\n{k * 50}\n", f"TIMESTEP\n{(first + k) * 50}\n")
        (tmp_path / name).write_text(text)
    frames = read_frames([tmp_path / "a", tmp_path / "b", tmp_path / "c"], **TIME)
    assert frames.n_frames == 25
    assert frames.breaks == (20,)


def test_a_seam_where_atoms_jump_is_a_break(tmp_path):
    write_xdatcar(tmp_path / "a", fractional(seed=0), cells(), breathes=False)
    write_xdatcar(tmp_path / "b", fractional(seed=1), cells(), breathes=False)
    frames = read_frames([tmp_path / "a", tmp_path / "b"], timestep=2.0, stride=1)
    assert frames.breaks == (12,)


def test_a_long_file_is_thinned_to_the_memory_but_followed_at_every_frame(tmp_path):
    # Steps of 0.2 of a cell: frames eight apart could not be unwrapped.
    frac = np.arange(2000)[:, None, None] * np.full((5, 3), 0.2) + 0.05
    write_xdatcar(tmp_path / "x", frac, cells(2000), breathes=False)
    frames = read_frames(tmp_path / "x", timestep=2.0, stride=1, memory=5 * 24 * 300)
    assert frames.n_frames == 250
    assert frames.timestep == 16.0
    step = np.full(3, 1.6) @ TRICLINIC
    np.testing.assert_allclose(np.diff(frames.positions, axis=0) - step, 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello\n", "none of the formats"),
        (b"Direct configuration", "does not begin like an XDATCAR"),
        (b"<?xml version='1.0'?><modeling></calculation>", "lists no atoms"),
        (b"<?xml version='1.0'?><modeling>", "no complete frame"),
        (b'2\nLattice="1 0 0 0 1 0 0 0 1"\nLi 0 0 0\n', "no complete frame"),
    ],
)
def test_what_is_no_trajectory_is_refused(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_frames(path, timestep=1.0, stride=1)


def test_plain_xyz_without_a_cell_is_refused(tmp_path):
    path = tmp_path / "run.xyz"
    path.write_text("1\ncomment\nLi 0 0 0\n")
    with pytest.raises(DataError, match="does not know its cell"):
        read_frames(path, timestep=1.0, stride=1)


def test_a_position_that_is_not_a_number_is_refused_with_its_frame(tmp_path):
    path = tmp_path / "XDATCAR"
    written(path, "xdatcar")
    text = path.read_text().splitlines()
    text[7 + 6 * 4 + 2] = "  0.1  ********** 0.2"
    path.write_text("\n".join(text) + "\n")
    with pytest.raises(DataError, match="not a number, in the frame after 4 good"):
        read_frames(path, timestep=1.0, stride=1)


def test_an_unknown_time_step_is_asked_for(tmp_path):
    written(tmp_path / "XDATCAR", "xdatcar")
    with pytest.raises(DataError, match="give the time step"):
        read_frames(tmp_path / "XDATCAR")


def test_a_single_frame_has_no_displacement(tmp_path):
    write_lammps(tmp_path / "dump", fractional(1), cells(1))
    with pytest.raises(DataError, match="single frame"):
        read_frames(tmp_path / "dump", **TIME)


def test_a_dump_without_elements_asks_for_types(tmp_path):
    written(tmp_path / "dump", "lammps")
    with pytest.raises(DataError, match="types up to 3"):
        read_frames(tmp_path / "dump", timestep=1.0, types=("Li", "P"))


def test_other_atoms_in_the_second_file_are_refused(tmp_path):
    written(tmp_path / "a", "extxyz")
    ase.io.write(
        tmp_path / "b", ase.Atoms("Li2", [[0, 0, 0], [1, 1, 1]], cell=[3, 3, 3]), format="extxyz"
    )
    with pytest.raises(DataError, match="atoms change"):
        read_frames([tmp_path / "a", tmp_path / "b"], timestep=1.0, stride=1)


@pytest.mark.parametrize("changes", [{"timestep": 0.0}, {"timestep": 1.0, "stride": 0}])
def test_times_that_cannot_be_are_refused(tmp_path, changes):
    written(tmp_path / "XDATCAR", "xdatcar")
    with pytest.raises(DataError, match=r"positive|at least one"):
        read_frames(tmp_path / "XDATCAR", **changes)


# What a file tells and what somebody gives must agree


def exported(path, *, temperature=900.0, spacing=20.0, n_frames=5, timestep=2.0):
    """Frames as `ssefw results export` writes them."""
    rows = []
    for k in range(n_frames):
        comment = (
            'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 temperature=880.00 '
            f"set_temperature={temperature:g} step={k * spacing / timestep:.0f} "
            f'timestep_fs={timestep:g} time_ps={k * spacing / 1000:.6f} pbc="T T T"'
        )
        rows.append(f"1\n{comment}\nLi {k * 0.1:.3f} 0 0\n")
    path.write_text("".join(rows))
    return path


def test_exported_frames_tell_time_and_temperature(tmp_path):
    path = exported(tmp_path / "a.extxyz")
    for given in ({}, {"timestep": 2.0}, {"timestep": 2.0, "stride": 10}):
        frames = read_frames(path, **given)
        assert frames.timestep == pytest.approx(20.0)
        assert frames.set_temperature == 900.0
        assert list(frames.temperatures) == [880.0] * 5
    assert told_temperatures([path]) == (900.0,)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"timestep": 1.0}, "its time step is 2 fs, and 1 fs was given"),
        ({"timestep": 2.0, "stride": 1}, "20 fs apart by what it tells, and 2 fs with a stride"),
        ({"stride": 5}, "20 fs apart"),
    ],
)
def test_what_contradicts_exported_frames_is_refused(tmp_path, given, said):
    with pytest.raises(DataError, match=said):
        read_frames(exported(tmp_path / "a.extxyz"), **given)


def test_what_contradicts_a_vasprun_is_refused(tmp_path):
    path = tmp_path / "vasprun.xml"
    written(path, "vasprun")
    assert read_frames(path, stride=1).timestep == pytest.approx(2.0)
    with pytest.raises(DataError, match="a frame every 1 steps of the run"):
        read_frames(path, stride=10)
    with pytest.raises(DataError, match="its time step is 2 fs"):
        read_frames(path, timestep=1.0)


def test_a_vasprun_of_learned_forces_may_be_written_in_blocks(tmp_path):
    path = tmp_path / "vasprun.xml"
    written(path, "vasprun")
    plain = path.read_text()
    learned = '<i type="logical" name="ML_LMLFF"> T </i>\n'
    path.write_text(plain.replace("</incar>", f"{learned}</incar>"))
    with pytest.raises(DataError, match="how many steps lie between"):
        read_frames(path)
    assert read_frames(path, stride=5).timestep == pytest.approx(10.0)
    block = '<i type="int" name="ML_OUTBLOCK"> 10</i>\n'
    path.write_text(plain.replace("</incar>", f"{learned}{block}</incar>"))
    assert read_frames(path).timestep == pytest.approx(20.0)


def test_frames_of_two_temperatures_are_not_one_run(tmp_path):
    hot, cold = exported(tmp_path / "a"), exported(tmp_path / "b", temperature=600.0)
    with pytest.raises(DataError, match=r"900 K and of 600 K"):
        read_frames([hot, cold], file_format="extxyz")


def test_a_temperature_that_the_files_contradict_is_refused(tmp_path):
    path = exported(tmp_path / "a.extxyz")
    run = Run((path,), 600.0)
    with pytest.raises(DataError, match="at 900 K, and 600 K was given"):
        check_temperature(run, read_frames(path))
    check_temperature(Run((path,), 900.4), read_frames(path))
