"""Runs the notebooks of this folder, and makes pages of them; of Jupyter it needs nothing.

    python docs/run_notebooks.py [docs/notebooks/NAME.ipynb ...]

Each runs from its first cell to its last in a new folder, and what the cells show is written into
it: printed lines, the value of the last line, as a table where it has one, and figures.
"""

import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl

FOLDER = Path(__file__).parent / "notebooks"


def executed(path: Path, folder: Path) -> dict[str, Any]:
    """Return a notebook with the outputs that its cells have when they run in a folder."""
    notebook: dict[str, Any] = json.loads(path.read_text())
    names: dict[str, Any] = {"__name__": "__main__"}
    mpl.use("agg")
    with contextlib.chdir(folder):
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        for number, cell in enumerate(cells, start=1):
            where = f"{path.name}, cell {number}"
            cell["outputs"] = list(_run("".join(cell["source"]), names, number, where))
            cell["execution_count"] = number
    return notebook


def _run(source: str, names: dict[str, Any], number: int, where: str) -> Iterator[dict[str, Any]]:
    """Run a cell, and yield what it shows, in the words of Jupyter's format."""
    import matplotlib.pyplot as plt  # noqa: PLC0415  behind the choice of what draws

    body = ast.parse(source, where).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    value, printed = None, io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(ast.Module(body, []), where, "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), where, "eval"), names)
    if text := printed.getvalue():
        yield {"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}
    if value is not None and not source.rstrip().endswith(";"):
        shown = {"text/plain": repr(value).splitlines(keepends=True)}
        if hasattr(value, "_repr_html_"):
            shown["text/html"] = value._repr_html_().splitlines(keepends=True)
        yield {
            "output_type": "execute_result",
            "execution_count": number,
            "data": shown,
            "metadata": {},
        }
    for figure in map(plt.figure, plt.get_fignums()):
        image = io.BytesIO()
        figure.savefig(image, dpi=72, bbox_inches="tight", metadata={"Software": None})
        data = {"image/png": base64.b64encode(image.getvalue()).decode()}
        yield {"output_type": "display_data", "data": data, "metadata": {}}
    plt.close("all")


def page_of(path: Path) -> str:
    """Return a notebook with its outputs as a page of the site."""
    notebook = json.loads(path.read_text())
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += map(_shown, cell["outputs"])
    link = f"[This page as a notebook]({path.name}), to run it and to change it."
    return "\n\n".join([*parts, link]) + "\n"


def _shown(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return f"```text\n{''.join(output['text']).rstrip()}\n```"
    data = output["data"]
    if "image/png" in data:
        return f"![Figure](data:image/png;base64,{data['image/png']})"
    if "text/html" in data:
        return f"<div>{''.join(data['text/html'])}</div>"
    return f"```text\n{''.join(data['text/plain'])}\n```"


def main() -> None:
    """Run notebooks, and write what they show into them."""
    for name in sys.argv[1:] or sorted(FOLDER.glob("*.ipynb")):
        path = Path(name).resolve()
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SSEFW_POTENTIALS"] = folder
            notebook = executed(path, Path(folder))
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
        print(path.name)


if __name__ == "__main__":
    main()
