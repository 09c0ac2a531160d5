"""Observations to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from discover.errors import InvalidInput, Problem
from discover.report.writing import check_place, make_folder, whole_file

if TYPE_CHECKING:
    import pandas as pd

    from discover.campaign import Campaign
    from discover.protocols import Experiment


def write_pictures(campaign: Campaign, folder: Path, answers: Path | None, experiment: Experiment | None) -> list[Path]:
    """The report's pictures as `<campaign>-best-so-far.png`, `-parity.png`, `-calibration.png`; of several targets the front's."""
    from discover.report import best_so_far, calibration, hypervolume_so_far, pareto, parity
    from discover.report.answers import known_answers

    make_folder(folder, "pictures")
    known = known_answers(campaign, answers, experiment, experiment.describe() if experiment else {})
    pictures = {
        "best-so-far": best_so_far(campaign, known.answers),
        "parity": parity(campaign),
        "calibration": calibration(campaign),
    }
    if len(campaign.objective.targets) > 1:
        pictures |= {"pareto": pareto(campaign), "hypervolume": hypervolume_so_far(campaign)}
    paths = []
    for name, drawn in pictures.items():
        path = folder / f"{campaign.name}-{name}.png"
        with whole_file(path, "pictures") as draft:
            draft.write_bytes(drawn._repr_png_())
        paths.append(path)
    return paths


def export_observations(campaign: Campaign, out: Path) -> int:
    """Write every observation, failures included, as .parquet or .csv; the number of rows. The file appears whole or not at all."""
    if out.suffix not in (".parquet", ".csv"):
        raise InvalidInput("export", [Problem("unknown ending", value=str(out), way_out="write .parquet or .csv")])
    check_place(out, "export")
    frame = campaign.observations
    with whole_file(out, "export") as draft:
        write_frame(frame, draft, out.suffix)
    return len(frame)


def write_frame(frame: pd.DataFrame, path: Path, suffix: str = ".parquet") -> None:
    """A frame of observations as a file: `extra` as JSON, whole numbers whole."""
    frame = frame.assign(
        extra=[json.dumps(extra, sort_keys=True, default=str) for extra in frame["extra"]],
        iteration=frame["iteration"].astype("Int64"),
    )
    if suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
