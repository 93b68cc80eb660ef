"""The notebooks run as they stand, and hold what they show."""

import json
import sys
import tempfile

import pytest

from tests.conftest import REPOSITORY

sys.path.append(str(REPOSITORY / "docs"))
from run_notebooks import FOLDER, executed, page_of

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def kinds(notebook):
    """Return what each cell shows, without numbers, which differ from one machine to another."""
    return [
        [(output["output_type"], sorted(output.get("data", ()))) for output in cell["outputs"]]
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_holds(path, tmp_path, monkeypatch):
    monkeypatch.setenv("SSEFW_POTENTIALS", str(tmp_path / "potentials"))
    stored = json.loads(path.read_text())
    assert kinds(executed(path, tmp_path)) == kinds(stored)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_one_of_jupyters_and_a_page_with_figures(path):
    notebook = json.loads(path.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = notebook["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    here = (tempfile.gettempdir(), str(REPOSITORY), sys.prefix)
    assert not [place for place in here if f"{place}/" in path.read_text()]
    page = page_of(path)
    assert page.startswith("# ")
    assert "![Figure](data:image/png;base64," in page
    assert f"]({path.name})" in page
