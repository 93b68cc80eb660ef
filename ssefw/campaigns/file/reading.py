"""Reading a campaign file; each mistake in one is said in a line, with its place."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ssefw.campaigns.file.campaign import CampaignSpec
from ssefw.errors import ConfigurationError
from ssefw.files import expand_user, read_text
from ssefw.files.yaml_text import load_yaml
from ssefw.mistakes import mistakes_in

__all__ = ["read_campaign"]

LARGEST_CAMPAIGN = 2**20
"""Bytes; a file with a hundred structures written into it has less."""


def read_campaign(path: Path) -> CampaignSpec:
    """Read a campaign file.

    Raises
    ------
    ConfigurationError
        If it is missing, no YAML, or keys or values are wrong; the message has a line for each
        with file and line, unknown keys first.
    """
    text = read_text(path, largest=LARGEST_CAMPAIGN, error=ConfigurationError)
    content, node = load_yaml(text, name=str(path))
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"{path} is not a campaign: it must have the keys campaign, pool and md (or neb). "
            "Start from workflows/quickstart.yaml."
        )
    if (twice := _twice(node)) is not None:
        raise ConfigurationError(
            f"{path}:{twice.start_mark.line + 1}: the key {twice.value!r} occurs twice in its "
            "block; YAML would take the last one only."
        )
    try:
        spec = CampaignSpec.model_validate(content)
    except ValidationError as error:
        mistakes = mistakes_in(error, CampaignSpec)
        said = [f"{path}:{_line(node, place)}: {what}" for place, what in mistakes]
        raise ConfigurationError(*said) from error
    return _with_paths(spec, path.parent)


def _with_paths(spec: CampaignSpec, folder: Path) -> CampaignSpec:
    """Make paths relative to the campaign file, wherever the command was started."""
    pool, screen = spec.pool, spec.screen
    if pool.path is not None:
        pool = pool.model_copy(update={"path": _place(folder, pool.path)})
    if screen is not None:
        own = {"model": _place(folder, screen.model)}
        for name in ("phases", "gaps"):
            if (given := getattr(screen, name)) is not None:
                own[name] = _place(folder, given)
        screen = screen.model_copy(update=own)
    feedback = spec.feedback
    if feedback is not None:
        # A name that is no file is that of a set that comes with ssefw or a package.
        files = ((name, _place(folder, name)) for name in feedback.labels)
        labels = tuple(str(path.resolve()) if path.exists() else name for name, path in files)
        feedback = feedback.model_copy(update={"labels": labels})
    learn = spec.learn
    if learn is not None and learn.frames_from:
        places = tuple(str(_place(folder, name).resolve()) for name in learn.frames_from)
        learn = learn.model_copy(update={"frames_from": places})
    update = {"pool": pool, "screen": screen, "feedback": feedback, "learn": learn}
    return spec.model_copy(update=update)


def _place(folder: Path, path: Path | str) -> Path:
    return folder / expand_user(path, error=ConfigurationError)


def _twice(node: yaml.Node | None) -> yaml.Node | None:
    """Return the first key that its block has twice."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                return key  # type: ignore[no-any-return]
            seen.add(key.value)
            if (found := _twice(value)) is not None:
                return found
    elif isinstance(node, yaml.SequenceNode):
        return next((found for item in node.value if (found := _twice(item)) is not None), None)
    return None


def _line(node: Any, location: tuple[str | int, ...]) -> int:
    """Return the line of the deepest key of a location that the file has."""
    line: int = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == part:
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                return line
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
