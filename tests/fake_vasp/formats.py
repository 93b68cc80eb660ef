"""VASP's input files read, and its output files written, each in its own layout."""

import math

import numpy as np
from physics import MASSES, VALENCE

ROW = "    <rc><c>{:4d}</c><c>{:<2s}</c><c>{:16.8f}</c><c>{:16.8f}</c><c>  {:<38s}</c></rc>\n"


def read_incar(path):
    """Return the tags of an INCAR as upper-case name to text."""
    tags = {}
    for line in path.read_text().splitlines():
        for part in line.split("#")[0].split("!")[0].split(";"):
            name, equals, value = part.partition("=")
            if equals:
                tags[name.strip().upper()] = value.strip()
    return tags


def is_true(value):
    """Whether a Fortran logical is true."""
    return str(value).strip().strip(".").upper().startswith("T")


def read_poscar(path):
    """Return symbols, counts, cell, fractional positions, velocities (A/fs) and thermostat."""
    blocks = path.read_text().replace("\r", "").split("\n")
    scale = float(blocks[1])
    cell = np.array([[float(x) for x in line.split()[:3]] for line in blocks[2:5]]) * scale
    symbols = [name.split("_")[0].split("/")[0] for name in blocks[5].split()]
    counts = [int(n) for n in blocks[6].split()]
    n = sum(counts)
    here = 7
    if blocks[here].strip()[:1] in "sS":
        here += 1
    cartesian = blocks[here].strip()[:1] in "cCkK"
    here += 1
    rows = np.array([[float(x) for x in line.split()[:3]] for line in blocks[here : here + n]])
    frac = rows @ np.linalg.inv(cell) if cartesian else rows
    rest = blocks[here + n :]
    velocities, nose = None, (0.0, 0.0)
    if len(rest) > n and rest[0].strip() == "" and rest[1].strip():
        velocities = np.array([[float(x) for x in line.split()] for line in rest[1 : n + 1]])
        extra = [line for line in rest[n + 1 :] if line.strip()]
        if len(extra) > 2:
            thermostat = [float(x) for x in extra[2].split()]
            nose = (thermostat[1], thermostat[0])
    return symbols, counts, cell, frac, velocities, nose


def fortran(x, *, width=14, digits=8):
    """Write a number as Fortran's E format does: -.12345678E+03."""
    if x == 0.0:
        return f"{'0.' + '0' * digits + 'E+00':>{width}}"
    exponent = math.floor(math.log10(abs(x))) + 1
    mantissa = f"{abs(x) / 10.0**exponent:.{digits}f}"
    if mantissa.startswith("1."):
        exponent += 1
        mantissa = f"{abs(x) / 10.0**exponent:.{digits}f}"
    text = ("-" if x < 0 else "0") + mantissa[1:] + f"E{exponent:+03d}"
    return f"{text:>{width}}"


def contcar(comment, symbols, counts, cell, frac, dynamics):  # noqa: PLR0917 - a file's parts
    """Return a CONTCAR; of dynamics with velocities, thermostat and predictor blocks."""
    lines = [comment, "   1.00000000000000     "]
    lines += ["".join(f"{x:22.16f}" for x in row) for row in cell]
    lines.append("   " + "".join(f"{s:<5s}" for s in symbols))
    lines.append("".join(f"{c:6d}" for c in counts))
    lines.append("Direct")
    lines += ["".join(f"{x:20.16f}" for x in row) for row in frac % 1.0]
    if dynamics is not None:
        lines.append(" ")
        lines += [" ".join(fortran(x) for x in row) for row in dynamics.v]
        lines += ["", "           1", f"  {dynamics.dt:17.14f}     "]
        nose = (dynamics.eta, dynamics.xi, 0.0, 0.0)
        lines.append(" ".join(fortran(x, digits=12, width=20) for x in nose))
        ahead = frac + dynamics.dt * dynamics.v @ np.linalg.inv(cell)
        for block in (ahead, ahead - frac, np.zeros_like(frac)):
            lines += [" ".join(fortran(x) for x in row) for row in block]
    return "\n".join(lines) + "\n"


def xdatcar_header(comment, symbols, counts, cell):
    """Return the head of an XDATCAR."""
    lines = [comment, "           1"]
    lines += ["    " + "".join(f"{x:12.6f}" for x in row) for row in cell]
    lines.append("   " + "".join(f"{s:<5s}" for s in symbols))
    lines.append("".join(f"{c:6d}" for c in counts))
    return "\n".join(lines) + "\n"


def xdatcar_frame(number, frac):
    """Return one configuration of an XDATCAR."""
    lines = [f"Direct configuration={number:6d}"]
    lines += ["".join(f"{x:12.8f}" for x in row) for row in frac % 1.0]
    return "\n".join(lines) + "\n"


def _rows(array, indent, tag="v"):
    return "".join(
        f"{indent}<{tag}>" + "".join(f" {x:15.8f}" for x in row) + f" </{tag}>\n" for row in array
    )


def _structure(cell, frac, name=None):
    head = f' <structure name="{name}" >\n' if name else "  <structure>\n"
    volume = abs(np.linalg.det(cell))
    inverse = np.linalg.inv(cell).T
    return (
        head
        + '   <crystal>\n    <varray name="basis" >\n'
        + _rows(cell, "     ")
        + f'    </varray>\n    <i name="volume"> {volume:15.8f} </i>\n'
        + '    <varray name="rec_basis" >\n'
        + _rows(inverse, "     ")
        + '    </varray>\n   </crystal>\n   <varray name="positions" >\n'
        + _rows(frac % 1.0, "    ")
        + "   </varray>\n"
        + (" </structure>\n" if name else "  </structure>\n")
    )


def _parameter(name, value):
    text = str(value).strip()
    if text.strip(".").upper() in {"T", "F", "TRUE", "FALSE"}:
        return f'  <i type="logical" name="{name}"> {text.strip(".")[0].upper()}  </i>\n'
    words = text.split()
    try:
        numbers = [float(w) for w in words]
    except ValueError:
        return f'  <i type="string" name="{name}">{text}</i>\n'
    if len(words) > 1:
        return f'  <v name="{name}">' + "".join(f" {x:15.8f}" for x in numbers) + "</v>\n"
    if name in INTEGERS:
        return f'  <i type="int" name="{name}"> {int(numbers[0]):6d}</i>\n'
    return f'  <i name="{name}"> {numbers[0]:15.8f}</i>\n'


INTEGERS = {
    "NSW", "IBRION", "ISIF", "ISYM", "ISPIN", "MDALGO", "NELM", "NELMIN", "ISMEAR", "NBLOCK",
    "KBLOCK", "ISTART", "ICHARG", "MAXMIX", "NBANDS", "IALGO", "NCORE", "NPAR", "KPAR", "LORBIT",
    "NELMDL", "INIWAV", "LDAUTYPE", "LDAUPRINT", "LMAXMIX", "NEDOS", "ISEARCH",
}  # fmt: skip


def vasprun_head(run):
    """Return a vasprun.xml up to the first ionic step."""
    symbols, counts = run.symbols, run.counts
    masses, valences = [MASSES[s] for s in symbols], [VALENCE[s] for s in symbols]
    grid = " ".join(f"{n:8d}" for n in run.kpoints)
    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n <generator>\n'
        '  <i name="program" type="string">vasp </i>\n'
        '  <i name="version" type="string">6.4.2  </i>\n'
        '  <i name="subversion" type="string">fake (build) complex                 serial </i>\n'
        '  <i name="platform" type="string">LinuxGNU </i>\n'
        '  <i name="date" type="string">2026 01 01 </i>\n'
        '  <i name="time" type="string">00:00:00 </i>\n </generator>\n <incar>\n'
    )
    text += "".join(_parameter(k, v) for k, v in run.incar.items()) + " </incar>\n"
    text += (
        ' <kpoints>\n  <generation param="Gamma">\n'
        f'   <v type="int" name="divisions">{grid} </v>\n'
        '   <v name="usershift">      0.00000000       0.00000000       0.00000000 </v>\n'
        '   <v name="genvec1">      1.00000000       0.00000000       0.00000000 </v>\n'
        '   <v name="genvec2">      0.00000000       1.00000000       0.00000000 </v>\n'
        '   <v name="genvec3">      0.00000000       0.00000000       1.00000000 </v>\n'
        '   <v name="shift">      0.00000000       0.00000000       0.00000000 </v>\n'
        '  </generation>\n  <varray name="kpointlist" >\n'
        "   <v>       0.00000000       0.00000000       0.00000000 </v>\n  </varray>\n"
        '  <varray name="weights" >\n   <v>       1.00000000 </v>\n  </varray>\n </kpoints>\n'
        " <parameters>\n"
    )
    text += "".join(_parameter(k, v) for k, v in run.tags.items())
    text += " </parameters>\n <atominfo>\n"
    text += f"  <atoms> {sum(counts):7d} </atoms>\n  <types> {len(symbols):7d} </types>\n"
    text += (
        '  <array name="atoms" >\n   <dimension dim="1">ion</dimension>\n'
        '   <field type="string">element</field>\n   <field type="int">atomtype</field>\n   <set>\n'
    )
    for kind, (symbol, count) in enumerate(zip(symbols, counts, strict=True), start=1):
        text += f"    <rc><c>{symbol:<2s}</c><c>{kind:4d}</c></rc>\n" * count
    text += (
        '   </set>\n  </array>\n  <array name="atomtypes" >\n'
        '   <dimension dim="1">type</dimension>\n'
        '   <field type="int">atomspertype</field>\n   <field type="string">element</field>\n'
        "   <field>mass</field>\n   <field>valence</field>\n"
        '   <field type="string">pseudopotential</field>\n   <set>\n'
    )
    for row in zip(counts, symbols, masses, valences, run.titles, strict=True):
        text += ROW.format(*row)
    text += "   </set>\n  </array>\n </atominfo>\n"
    return text + _structure(run.cell, run.frac, "initialpos")


def _energy(values, indent):
    body = "".join(f'{indent} <i name="{k}"> {v:15.8f} </i>\n' for k, v in values.items())
    return f"{indent}<energy>\n{body}{indent}</energy>\n"


def vasprun_step(energy, forces, stress, cell, frac, extra, electronic):  # noqa: PLR0917
    """Return one <calculation> without its closing tag."""
    text = " <calculation>\n"
    for value in electronic:
        one = {"e_fr_energy": value, "e_wo_entrp": value, "e_0_energy": value}
        text += '  <scstep>\n   <time name="total">    0.01    0.01</time>\n'
        text += _energy(one, "   ") + "  </scstep>\n"
    text += _structure(cell, frac)
    text += '  <varray name="forces" >\n' + _rows(forces, "   ") + "  </varray>\n"
    text += '  <varray name="stress" >\n' + _rows(stress, "   ") + "  </varray>\n"
    values = {"e_fr_energy": energy, "e_wo_entrp": energy, "e_0_energy": energy} | extra
    return text + _energy(values, "  ") + '  <time name="totalsc">    0.02    0.02</time>\n'


def vasprun_bands(levels, occupied, fermi, n_spins):
    """Return the eigenvalues and density of states that VASP adds to the last step."""
    text = '  <eigenvalues>\n   <array>\n    <dimension dim="1">band</dimension>\n'
    text += '    <dimension dim="2">kpoint</dimension>\n    <dimension dim="3">spin</dimension>\n'
    text += "    <field>eigene</field>\n    <field>occ</field>\n    <set>\n"
    for spin in range(1, n_spins + 1):
        text += f'     <set comment="spin {spin}">\n      <set comment="kpoint 1">\n'
        text += "".join(
            f"       <r> {e:10.4f} {o:10.4f} </r>\n" for e, o in zip(levels, occupied, strict=True)
        )
        text += "      </set>\n     </set>\n"
    text += "    </set>\n   </array>\n  </eigenvalues>\n"
    text += f'  <dos>\n   <i name="efermi"> {fermi:15.8f} </i>\n   <total>\n    <array>\n'
    text += '     <dimension dim="1">gridpoints</dimension>\n'
    text += '     <dimension dim="2">spin</dimension>\n     <field>energy</field>\n'
    text += "     <field>total</field>\n     <field>integrated</field>\n"
    text += "     <set>\n"
    for spin in range(1, n_spins + 1):
        text += f'      <set comment="spin {spin}">\n'
        text += "".join(
            f"       <r> {e:10.4f} {1.0:10.4f} {k:10.4f} </r>\n" for k, e in enumerate(levels, 1)
        )
        text += "      </set>\n"
    return text + "     </set>\n    </array>\n   </total>\n  </dos>\n"


def vasprun_tail(cell, frac):
    """Return the end of a vasprun.xml."""
    return _structure(cell, frac, "finalpos") + "</modeling>\n"
