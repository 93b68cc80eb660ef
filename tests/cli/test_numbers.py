"""No number that is none, endless or absurd reaches the work: options of commands."""

import math

import click
import pytest

from ssefw.cli.numbers import Number
from tests.cli.test_help import all_commands

ABSURD = ["nan", "inf", "-inf", "-1", "1e300", str(10**21), "9" * 5000, "", "ten", "0x10"]


def numeric_options():
    for name, command in all_commands():
        for parameter in command.params:
            if isinstance(parameter.type, Number):
                yield pytest.param(name, parameter, id=f"{name} {parameter.opts[-1]}")


NUMERIC = list(numeric_options())


def test_every_command_was_looked_at():
    assert len(NUMERIC) > 60


@pytest.mark.parametrize(("name", "command"), list(all_commands()), ids=lambda x: str(x)[:30])
def test_every_number_has_the_limits_of_its_unit(name, command):
    plain = (click.types.IntParamType, click.types.FloatParamType)
    assert not [p.opts for p in command.params if isinstance(p.type, plain)]


@pytest.mark.parametrize(("name", "option"), NUMERIC)
def test_absurd_numbers_are_refused_in_one_line(ssefw, name, option):
    limits = option.type.limits
    for text in ABSURD:
        if text == "-1" and (limits.least or 0) < 0:
            assert option.type.convert(text, option, None) == -1
            continue
        done = ssefw(*name.split(), option.opts[-1], text, check=False)
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("Error: Invalid value for ")
        assert option.opts[-1] in line
        assert str(limits) in line
        assert len(line) < 300


@pytest.mark.parametrize(("name", "option"), NUMERIC)
def test_the_default_is_within_the_limits(name, option):
    if isinstance(option.default, int | float):
        assert math.isfinite(option.type.convert(option.default, option, None))


@pytest.mark.parametrize(
    "arguments",
    [
        ["results", "export", "x", "-o", "out", "--frames", "0"],
        ["results", "export", "x", "-o", "out", "--frames", str(10**21)],
        ["results", "export", "x", "-o", "out", "--frames", "nan"],
    ],
    ids=str,
)
def test_a_number_of_frames_is_one(ssefw, arguments):
    done = ssefw(*arguments, check=False)
    assert done.returncode == 2
    assert "a whole number at least 1" in done.stderr
