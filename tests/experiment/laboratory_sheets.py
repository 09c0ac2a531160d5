"""Sheets for a laboratory: a batch that goes out, files dropped into the inbox, what was read of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from openpyxl import Workbook

from discover.experiment.laboratory import Laboratory
from discover.experiment.laboratory.inbox import Sheet
from discover.values import Prediction, Proposal
from tests.experiment.conftest import proposal

NONE = pd.DataFrame(columns=["row", "id", "proposal_id", "became", "remark"])


def batch(**more: Any) -> dict[str, Proposal]:
    from dataclasses import replace

    rows = {
        "a": {"solvent": "DMF", "T": 20.5},
        "007": {"solvent": "=1+1", "T": -5},
        "-x@": {"solvent": "+49 'q", "T": None},
    }
    work = {}
    for number, (name, values) in enumerate(rows.items(), start=1):
        made = proposal(name, sample=name, cell="x" * 500, **values)
        work[f"c-{number:04d}.1"] = replace(
            made, proposal_id=f"c-{number:04d}", predicted={"yield": Prediction(50.0, 5.0)}
        )
    return work


def drop(tmp_path: Path, name: str, content: str | bytes | Workbook) -> Path:
    path = tmp_path / "in" / name
    path.parent.mkdir(exist_ok=True)
    if isinstance(content, Workbook):
        content.save(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def workbook(*rows: Sequence[Any]) -> Workbook:
    book = Workbook()
    for row in rows:
        book.active.append(list(row))  # type: ignore[union-attr]
    return book


def incoming(lab: Laboratory) -> list[Sheet]:
    return list(lab.incoming("sample"))


def one(lab: Laboratory) -> Sheet:
    (sheet,) = incoming(lab)
    assert not sheet.problem, sheet.problem
    assert not sheet.later, sheet.later
    return sheet


def told(sheet: Sheet) -> dict[Any, Any]:
    """Row number to what was read, without what says where it comes from."""
    return {row: {k: v for k, v in record.items() if v is not None and k not in ("raw_data", "raw_hash")}
            for row, record in zip(sheet.frame.index, sheet.frame.to_dict("records"))}  # fmt: skip


def reasons(sheet: Sheet) -> dict[int, str]:
    return sheet._wrong(None)
