"""Observations to a file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from discover.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from discover.campaign import Campaign
    from discover.protocols import Experiment


def write_pictures(campaign: Campaign, folder: Path, answers: Path | None, experiment: Experiment | None) -> list[Path]:
    """The report's pictures as `<campaign>-best-so-far.png`, `-parity.png` and `-calibration.png`."""
    from discover.report import best_so_far, calibration, parity
    from discover.report.answers import known_answers

    known = known_answers(campaign, answers, experiment, experiment.describe() if experiment else {})
    pictures = {
        "best-so-far": best_so_far(campaign, known.answers),
        "parity": parity(campaign),
        "calibration": calibration(campaign),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, drawn in pictures.items():
        path = folder / f"{campaign.name}-{name}.png"
        path.write_bytes(drawn._repr_png_())
        paths.append(path)
    return paths


def export_observations(campaign: Campaign, out: Path) -> int:
    """Write every observation, failures included, as .parquet or .csv; the number of rows. The file appears whole or not at all."""
    if out.suffix not in (".parquet", ".csv"):
        raise InvalidInput("export", [Problem("unknown ending", value=str(out), way_out="write .parquet or .csv")])
    frame = campaign.observations
    frame["extra"] = [json.dumps(extra, sort_keys=True, default=str) for extra in frame["extra"]]
    frame["iteration"] = frame["iteration"].astype("Int64")
    draft = out.with_name(f".{out.name}.{os.getpid()}.draft")
    try:
        if out.suffix == ".parquet":
            frame.to_parquet(draft, index=False)
        else:
            frame.to_csv(draft, index=False)
        draft.replace(out)
    except OSError as error:
        raise InvalidInput("export", [Problem(f"cannot be written: {error}", value=str(out))]) from error
    return len(frame)
