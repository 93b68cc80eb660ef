"""Old spellings of options: they work for one more release and say what replaces them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["modern"]

RENAMED: dict[str, dict[str, str]] = {
    "analyze": {"--figures": "--figure"},
    "bvse": {"--ion": "--specie"},
    "converge": {"--option": "--set", "--plot": "--figure"},
    "neb": {"--no-plot": "--no-figure", "--option": "--set", "--output": "--out"},
    "report": {"--output": "--out"},
    "screen descriptors": {"--mobile": "--specie"},
    "screen shortlist": {"--mobile": "--specie"},
}
"""Command to old option to new one, which takes the same."""

TO_A_FILE = {"analyze", "bvse", "screen evaluate"}
"""Commands of which ``--json`` named a file; now it is a flag, and ``--out`` names the file."""


def modern(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return arguments in the spelling of today, and a line for each old one."""
    command, start = _command(arguments)
    renamed = RENAMED.get(command, {})
    found, said = list(arguments[:start]), []
    rest = iter(range(start, len(arguments)))
    for place in rest:
        word = arguments[place]
        name, equals, value = word.partition("=")
        after = arguments[place + 1] if place + 1 < len(arguments) else ""
        if word == "--":
            found += arguments[place:]
            break
        if name in renamed and name.startswith("--"):
            found.append(f"{renamed[name]}{equals}{value}")
            said.append(_notice(name, renamed[name]))
        elif command == "bvse" and word == "--plot":
            found += ["--figure", _value_of("--folder", arguments) or "."]
            said.append(_notice("--plot", "--figure FOLDER"))
        elif command == "neb" and word == "--plot":
            said.append("--plot is the default of `ssefw neb`; --figure FOLDER draws elsewhere.")
        elif name == "--json" and command in TO_A_FILE and (equals or _is_output(after)):
            target = value if equals else after
            if not equals:
                next(rest)
            found += ["--json"] if target == "-" else ["--out", target]
            said.append(_notice("--json FILE", "--out FILE, and --json prints to stdout"))
        else:
            found.append(word)
    return found, list(dict.fromkeys(said))


def _command(arguments: Sequence[str]) -> tuple[str, int]:
    """Return the command that is called, and where its options begin."""
    names = list(_names(arguments))
    if not names:
        return "", 0
    place, name = names[0]
    if name == "screen" and len(names) > 1:
        return f"screen {names[1][1]}", names[1][0] + 1
    return name, place + 1


def _names(arguments: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the words that are no options of ssefw itself."""
    is_value = False
    for place, word in enumerate(arguments):
        if not is_value and not word.startswith("-"):
            yield place, word
        is_value = word == "--store"


def _is_output(word: str) -> bool:
    """Whether a word behind ``--json`` is a file to write, and not one to read."""
    is_json = Path(word).suffix in {".json", ".jsonl"}
    return word == "-" or (is_json and not word.startswith("-") and not Path(word).exists())


def _value_of(option: str, arguments: Sequence[str]) -> str:
    for place, word in enumerate(arguments):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and place + 1 < len(arguments):
            return arguments[place + 1]
    return ""


def _notice(old: str, new: str) -> str:
    return f"{old} is now {new}; the old spelling goes with the next release."
