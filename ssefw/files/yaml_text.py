"""YAML as plain values: what JSON could hold, of bounded depth, each problem with its line.

Dates stay the text they were written as. Sets, binary values and tags of Python are refused, and so
are aliases that stand for more than a person wrote, or for themselves.
"""

from typing import Any

import yaml

from ssefw.errors import ConfigurationError, SsefwError
from ssefw.files.plain import DEEPEST, printable

__all__ = ["load_yaml"]

LARGEST_YAML = 2**20
"""Characters, ten seconds of parsing; large pools are files of their own."""
MOST_NODES = 200_000
"""Values with aliases written out."""


class _PlainLoader(yaml.SafeLoader):
    """Composes nodes to a bounded depth and makes of them what JSON can hold."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, f"nested more than {DEEPEST} deep", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's
        try:
            made = super().construct_object(node, deep=deep)
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
            raise _wrong(node, f"no {node.tag.rpartition(':')[2]}: {error}") from error
        if isinstance(made, str) and printable(made) != made:
            raise _wrong(node, "a text holds a control character")
        return made


# A date is text to whoever reads JSON; and to a pool, where it is a property.
_PlainLoader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_KNOWN = frozenset({"map", "seq", "str", "int", "float", "bool", "null", "merge", "value"})


def load_yaml(
    text: str, *, name: str, error: type[SsefwError] = ConfigurationError
) -> tuple[Any, yaml.Node | None]:
    """Return what a YAML text holds, and its nodes, which know their lines.

    Parameters
    ----------
    name
        What the text is called in messages, for example its path.

    Raises
    ------
    SsefwError
        Of the kind `error`: no YAML, or more than plain values; the message has name and line.
    """
    if len(text) > LARGEST_YAML:
        raise error(f"{name} has {len(text)} characters, too many for such a file.")
    try:
        loader = _PlainLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, None
            _check(node)
            return loader.construct_document(node), node
        finally:
            loader.dispose()
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        reason = getattr(problem, "problem", None) or getattr(problem, "reason", None) or "not YAML"
        raise error(f"{where}: this is not valid YAML ({_line(str(reason))}).") from problem
    except (ValueError, OverflowError) as problem:
        # An escape such as "\U00110000" is no character.
        raise error(f"{name}: this is not valid YAML ({_line(str(problem))}).") from problem


def _check(root: yaml.Node) -> None:
    """Refuse tags beyond plain values, and aliases that multiply or hold themselves."""
    sizes: dict[int, int] = {}

    def size_of(node: yaml.Node, above: frozenset[int]) -> int:
        if id(node) in above:
            raise _wrong(node, "an alias stands for a value that holds it")
        if id(node) in sizes:
            return sizes[id(node)]
        kind = node.tag.rpartition(":")[2]
        if kind not in _KNOWN or not node.tag.startswith("tag:yaml.org,2002:"):
            raise _wrong(node, f"{node.tag} is no number, text, list or mapping")
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            inner = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            inner = node.value
        here = above | {id(node)} if inner else above
        sizes[id(node)] = 1 + sum(size_of(part, here) for part in inner)
        if sizes[id(node)] > MOST_NODES:
            raise _wrong(node, f"it stands for more than {MOST_NODES} values")
        return sizes[id(node)]

    size_of(root, frozenset())


def _wrong(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _line(text: str) -> str:
    return " ".join(printable(text).split())[:160]
