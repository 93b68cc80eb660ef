"""What is wrong with a file or a setting, in words for the person who wrote it.

pydantic finds the mistakes; it words them for whoever wrote the model.
"""

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ssefw.errors import ConfigurationError
from ssefw.units import limits_in

__all__ = [
    "Mistake",
    "check_settings",
    "close_to",
    "known_keys",
    "mistakes_in",
    "shown",
    "unknown_word",
]

Location = tuple[str | int, ...]
Mistake = tuple[Location, str]
"""Where something is wrong, and what."""

KINDS: dict[Any, str] = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "text",
    type(None): "nothing",
}
LONGEST = 60
"""Characters of a wrong value that a message shows."""

WORDS: dict[str, str] = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a block of keys and values",
    "list_type": "must be a list, [...]",
    "mapping_type": "must be a block of keys and values",
    "model_type": "must be a block of keys and values",
    "path_type": "must be a path",
    "string_type": "must be text",
    "tuple_type": "must be a list, [...]",
}


def mistakes_in(error: ValidationError, model: type[BaseModel]) -> list[Mistake]:
    """Return all mistakes, unknown keys first.

    A key that is missing since it was mistyped is one mistake and not two.
    """
    unknown: list[Mistake] = []
    others: list[tuple[Location, Any]] = []
    meant: set[Location] = set()
    for item in error.errors(include_url=False):
        location: Location = item["loc"]
        is_key = location[-1:] == ("[key]",)
        if is_key or item["type"] == "extra_forbidden":
            location = location[:-1] if is_key else location
            known = known_keys(model, location[:-1])
            key = _key_of(location)
            unknown.append((location, f"unknown key {key!r}{unknown_word(location[-1], known)}"))
            meant |= {(*location[:-1], word) for word in close_to(location[-1], known)}
        elif item["type"] != "default_factory_not_called":  # it depends on a key that is wrong
            others.append((location, item))
    # A list of which no entry is right is too short as well; that is said once.
    inside = {location[:-1] for location, _ in others}
    return unknown + [
        (location, _in_words(location, item))
        for location, item in others
        if not (item["type"] == "missing" and location in meant)
        and not (item["type"] == "too_short" and location in inside)
    ]


def check_settings(
    made: Callable[..., Any], given: Mapping[str, Any], *, of: str, also: Sequence[str] = ()
) -> dict[str, Any]:
    """Return settings for a class, function or TypedDict, which is not called.

    A number that was written as text becomes one; all else stays as it is.

    Parameters
    ----------
    of
        What has the settings, for messages.
    also
        Settings that are taken though no parameter has their name.

    Raises
    ------
    ConfigurationError
        If a name is unknown or a value is not of the type that the parameter is annotated with;
        with a line for each.
    """
    hints = get_type_hints(made, include_extras=True)
    if isinstance(made, type) and "__init__" in vars(made):
        hints |= get_type_hints(vars(made)["__init__"], include_extras=True)
    if is_typeddict(made):
        named = set(hints)
    else:
        parameters = inspect.signature(made).parameters.values()
        named = {p.name for p in parameters if p.kind not in {p.VAR_KEYWORD, p.VAR_POSITIONAL}}
    known = sorted(named.union(also) - {"self"})
    unknown, wrong = [], []
    checked = dict(given)
    for name, value in given.items():
        if name not in known:
            unknown.append(
                f"{of} has no setting {name!r}{unknown_word(name, known, name='it has')}"
            )
        elif name in hints and (reason := _mistake_of(hints[name], value)):
            wrong.append(f"{of}: {name} {reason}, got {shown(value)}.")
        elif name in hints and isinstance(value, str):
            checked[name] = _adapter(hints[name]).validate_python(value)
    if unknown or wrong:
        raise ConfigurationError(*unknown, *wrong)
    return checked


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(
        annotation, config=ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False)
    )


def _mistake_of(annotation: Any, value: Any) -> str:
    """Return what is wrong with a value for a type, or nothing."""
    try:
        _adapter(annotation).validate_python(value)
    except ValidationError as error:
        (first, *others) = error.errors(include_url=False)
        if others or not first["type"].startswith(("value_error", "literal", "bool", "string")):
            return f"must be {' or '.join(dict.fromkeys(_kinds(annotation)))}"
        inner = "".join(f"[{part}]" for part in first["loc"])
        message = _in_words((), first | {"input": {}}).rstrip(".")
        return f"{inner} {message}".strip()
    return ""


def _kinds(annotation: Any) -> Iterator[str]:
    """Yield what a value of a type is, in words."""
    if get_origin(annotation) is Annotated and (limits := list(limits_in(annotation))):
        yield str(limits[0])
    elif annotation in KINDS:
        yield KINDS[annotation]
    elif get_origin(annotation) is Literal:
        yield from map(repr, get_args(annotation))
    elif isinstance(origin := get_origin(annotation), type) and issubclass(origin, Mapping):
        yield "a block of keys and values"
    elif isinstance(origin, type) and issubclass(origin, Sequence):
        yield "a list"
    else:
        for part in get_args(annotation):
            yield from _kinds(part)


def close_to(word: object, known: Sequence[str]) -> list[str]:
    """Return what was probably meant by a mistyped word, if anything."""
    return difflib.get_close_matches(str(word).lower(), known, n=1)


def unknown_word(word: object, known: Sequence[str], *, name: str = "known keys") -> str:
    """Return the end of a message on an unknown word: what was meant, or what there is."""
    close = close_to(word, known)
    return f"; did you mean {close[0]!r}?" if close else f"; {name}: {', '.join(known)}."


def shown(value: object) -> str:
    """Return a wrong value for a message, shortened where it is long."""
    if value is None:
        return "nothing"
    try:
        text = str(value) if isinstance(value, int | float) else repr(value)
    except ValueError:  # Python refuses to write integers of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def known_keys(model: type[BaseModel], location: Location) -> list[str]:
    """Return the keys that a block may have, by where it is."""
    here: list[Any] = [model]
    for part in location:
        here = [inner for kind in here for inner in _parts(kind, part)]
    found: list[str] = []
    for kind in here:
        if _is_model(kind):
            found += sorted(kind.model_fields)
        elif get_origin(kind) is dict and get_origin(get_args(kind)[0]) is Literal:
            found += get_args(get_args(kind)[0])
    return found


def _parts(kind: Any, part: str | int) -> Iterator[Any]:
    """Yield the types that a key or place in a value of a type has, unions taken apart."""
    if _is_model(kind):
        if part in kind.model_fields:
            yield from _alternatives(kind.model_fields[part].annotation)
    elif get_origin(kind) is dict:
        yield from _alternatives(get_args(kind)[1])
    elif get_origin(kind) in {tuple, list}:
        yield from _alternatives(get_args(kind)[0])


def _alternatives(annotation: Any) -> Iterator[Any]:
    if _is_model(annotation) or get_origin(annotation) in {tuple, list, dict}:
        yield annotation
        return
    for part in get_args(annotation):
        yield from _alternatives(part)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _key_of(location: Location) -> str:
    """Return the key with its blocks; each shortened, since a damaged file may hold anything."""
    parts = map(str, location)
    return ".".join(part if len(part) <= LONGEST else f"{part[:LONGEST]}..." for part in parts)


def _in_words(location: Location, item: Any) -> str:
    key, kind, given = _key_of(location), str(item["type"]), item["input"]
    if kind == "missing":
        return f"the key {key!r} is missing."
    context: dict[str, Any] = item.get("ctx", {})
    if kind == "value_error":
        message = str(context["error"])
    elif kind == "literal_error":
        message = f"must be {context['expected']}"
    elif kind == "too_short":
        message = f"must have at least {context['min_length']}"
    elif kind == "string_too_long":
        message = f"must have at most {context['max_length']} characters"
    else:
        message = WORDS.get(kind, "is not written as it must be")
    if ", got " not in message and not isinstance(given, dict | list | tuple | BaseModel):
        message += f", got {shown(given)}"
    return f"{key}: {message}." if key else f"{message}."
