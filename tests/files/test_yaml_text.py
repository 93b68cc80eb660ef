"""YAML of people: plain values, of bounded size and depth, problems with their line."""

import pytest

from ssefw.errors import ConfigurationError
from ssefw.files.yaml_text import load_yaml

BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{c}: &{c} [{', '.join([f'*{b}'] * 9)}]\n" for b, c in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "stands for more than 200000 values"),
        ("a: 1\nb: &b\n  - *b\n", "x:2: .*alias stands for a value that holds it"),
        ("a: 1\nb: " + "[" * 5000, "x:2: .*nested more than 64 deep"),
        ("a: 1\n" + "".join("  " * n + "b:\n" for n in range(500)), "nested more than 64 deep"),
        ("a: 1\nb: " + "9" * 5000, "x:2: .*no int: .*4300 digits"),
        ("a: 1\nb: !!set {c, d}\n", "x:2: .*set is no number, text, list or mapping"),
        ("a: 1\nb: !!python/object/apply:os.system [id]\n", "x:2: .*is no number"),
        ("a: 1\nb: !!binary aGVsbG8=\n", "x:2: .*binary is no number"),
        ('a: 1\nb: "\\e[31m"\n', "x:2: .*control character"),
        ('a: 1\nb: "\\ud800"\n', "x:2: .*control character"),
        ('a: 1\nb: "\\0"\n', "x:2: .*control character"),
        ("a: \0\n", "x: .*special characters"),
        ('a: "\\U00110000"\n', "x: .*not valid YAML"),
        ("a: 1\nb: !!float x\n", "x:2: .*no float"),
        ("? [a]\n: 1\n", "unhashable"),
        ("a: 1\n" * 300_000, "too many for such a file"),
    ],
)
def test_what_is_no_plain_value_is_refused_with_its_line(text, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        load_yaml(text, name="x")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_dates_stay_text_and_numbers_are_numbers():
    content, node = load_yaml(
        "day: 2026-01-02\nwhen: 2026-01-02 10:00:00\nn: 1e-3\nm: .5\n", name="x"
    )
    assert content == {"day": "2026-01-02", "when": "2026-01-02 10:00:00", "n": "1e-3", "m": 0.5}
    assert node.value[1][0].start_mark.line == 1


def test_an_alias_that_a_person_would_write_is_kept():
    content, _ = load_yaml("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n", name="x")
    assert content["b"] == {"x": 1}
    assert content["c"] == {"x": 1, "y": 2}


def test_nothing_is_nothing():
    assert load_yaml("# only a comment\n", name="x") == (None, None)
