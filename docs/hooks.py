"""What the site has beside the pages of this folder: files of the repository, made reference."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import ssefw
from ssefw.cli import ssefw as program

sys.path.append(str(Path(__file__).parent))
from run_notebooks import page_of

REPOSITORY = Path(__file__).parents[1]
PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
FOLDERS = ("workflows", "launchers")
"""Pages link files in them; the site carries copies, so that it needs no repository."""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add pages and files that lie beside docs/."""
    for name, page in PAGES.items():
        text = (REPOSITORY / name).read_text()
        files.append(File.generated(config, page, content=re.sub(r"\bdocs/(?=\S+\.md)", "", text)))
    for path in sorted((REPOSITORY / "docs/notebooks").glob("*.ipynb")):
        page = f"notebooks/{path.stem}.md"
        files.append(File.generated(config, page, content=page_of(path)))
    for folder in FOLDERS:
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.is_file() and path.suffix != ".md":
                name = f"files/{path.relative_to(REPOSITORY)}"
                files.append(File.generated(config, name, content=path.read_bytes()))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Link the copies, and fill the pages of the reference that are made."""
    up = "../" * page.file.src_uri.count("/")
    for folder in FOLDERS:
        markdown = markdown.replace(f"]({up}../{folder}/", f"]({up}files/{folder}/")
    markdown = markdown.replace("<!-- public names -->", "\n".join(_public_names()))
    return markdown.replace("<!-- keys of campaign files -->", "\n".join(_keys()))


def _public_names() -> Iterator[str]:
    """Yield what mkdocstrings makes the page of the Python API from."""
    # A room that is called as what most people want of it.
    homes = {"bvse": ("bvse.barrier", "site_energy_barrier"), **ssefw._HOMES}  # noqa: SLF001
    for name in sorted({*ssefw.__all__} - {"__version__"}):
        room, what = homes[name]
        yield f"## ssefw.{name}\n\n::: ssefw.{room}.{what}\n    options:\n      heading_level: 3\n"


def _keys() -> Iterator[str]:
    """Yield tables of the keys of campaign files, block by block, from their JSON schema."""
    schema = json.loads(CliRunner().invoke(program, ["schema"], catch_exceptions=False).stdout)
    yield from _block("The file itself", schema)
    for name, block in schema["$defs"].items():
        yield from _block(name, block)


def _block(name: str, block: dict[str, Any]) -> Iterator[str]:
    summary, told = _told(block.get("description", ""))
    yield f"\n## {name}\n\n{summary}\n"
    if "enum" in block:
        yield "One of " + ", ".join(f"`{value}`" for value in block["enum"]) + "."
    if not block.get("properties"):
        return
    yield "| key | value | default | meaning |\n|---|---|---|---|"
    required = block.get("required", [])
    for key, value in block["properties"].items():
        default = "required" if key in required else f"`{json.dumps(value.get('default'))}`"
        if key not in required and ("$ref" in value or "default" not in value):
            default = ""  # of a block, its keys say it
        meaning = told.get(key, value.get("description", "")).replace("\n", " ")
        yield f"| `{key}` | {_kind(value)} | {default} | {meaning.replace('|', chr(92) + '|')} |"


def _told(description: str) -> tuple[str, dict[str, str]]:
    """Return what a docstring says of a block, and of each of its keys."""
    summary, _, rest = description.partition("\n\nAttributes\n----------\n")
    told: dict[str, str] = {}
    names: list[str] = []
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(",")]
        for name in names if line.startswith(" ") else ():
            told[name] = f"{told.get(name, '')} {line.strip()}".strip()
    return summary, told


def _kind(value: dict[str, Any]) -> str:
    """Return in words what may be given."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for many in ("anyOf", "oneOf", "allOf"):
        if many in value:
            kinds = [_kind(one) for one in value[many] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if "enum" in value or "const" in value:
        return ", ".join(f"`{one}`" for one in value.get("enum", [value.get("const")]))
    kind = value.get("type", "any")
    if kind == "array":
        return "list of " + _kind(value["items"]) if value.get("items") else "list"
    limits = [
        f"{sign} {value[name]:g}"
        for name, sign in (
            ("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")
        )
        if name in value
    ]  # fmt: skip
    return " ".join([str(kind), *limits])
