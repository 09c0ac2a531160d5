"""What the command line reads and prints."""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from discover.errors import InvalidInput, Problem

if TYPE_CHECKING:
    import pandas as pd

    from discover.values import Progress


@contextmanager
def notices() -> Iterator[None]:
    """Warnings of ours as one line on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            typer.echo(f"note: {warning.message}", err=True)


@contextmanager
def progress(what: str) -> Iterator[Progress | None]:
    """A bar on a terminal for the length of a block, which gives the cursor back however it ends; None where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from discover.report.console import progress as bar

    with bar(what) as show:
        yield show


def check_new_file(path: Path, *, force: bool) -> None:
    """InvalidInput if no file can be written there, or if one stands there already and is not to be overwritten."""
    from discover.report.writing import check_place

    check_place(path, "--out")
    if path.exists() and not force:
        hint = "choose another name, or overwrite it with --force"
        raise InvalidInput("--out", [Problem("the file exists already", value=str(path), way_out=hint)])


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a sheet, whole or not at all."""
    from discover.report.writing import whole_file

    with whole_file(path, str(path)) as draft:
        frame.to_csv(draft, index=False)


def for_a_terminal(message: str) -> str:
    """A message whose ways out name Python's arguments, with the options of the command line in their place."""
    return message.replace("extra=[…]", "--extra").replace("correct(…)", "--correct")


def print_table(frame: pd.DataFrame, as_json: bool) -> None:
    if as_json:
        records = [{str(k): _cell(v) for k, v in row.items()} for row in frame.to_dict("records")]
        typer.echo(json.dumps(records, indent=2, default=str))
        return
    from discover.report.terminal import table_text

    typer.echo(table_text(frame, width=_width()))


def _cell(value: Any) -> Any:
    """A cell as JSON has it: numbers exact, missing ones null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.item() if hasattr(value, "item") else value


def _width() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 160


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, default=str))


def problem_json(problem: Problem) -> dict[str, Any]:
    return {
        "line": problem.line, "key": problem.key, "row": problem.row, "column": problem.column,
        "value": problem.value, "message": problem.message, "way_out": problem.way_out,
    }  # fmt: skip
