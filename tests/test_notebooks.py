"""Every notebook runs from top to bottom."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebook(path, monkeypatch):
    monkeypatch.setenv("FIRST_CAMPAIGN_EXPERIMENTS", "15")
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "committed without outputs"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    pictures = [
        o for c in notebook.cells for o in c.get("outputs", ()) if {"image/png", "image/svg+xml"} & {*o.get("data", {})}
    ]
    assert len(pictures) >= 3
