"""The answers of a whole pool, calculated once and shipped: read by the report alone, and only where they are comparable.

A folder of answers is a snapshot of the columns id, target, `status`, `reason`. Its manifest holds the description of the
`experiment` that gave them, with its `identity` (see `Experiment.describe`), and the hash of the candidates' `snapshot`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discover.backtest.answers import Answers, answers_from_frame, ask_everything
from discover.errors import InvalidInput, Problem

if TYPE_CHECKING:
    import pandas as pd

    from discover.protocols import Experiment


@dataclass(frozen=True)
class Known:
    """The answers that a report may use, or None, and in words where they come from or why they are left out."""

    answers: Answers | None
    words: str


def read_answers(folder: str | Path) -> pd.DataFrame:
    """The table of a folder of answers, its bytes held against its hash; the manifest is in `.attrs["manifest"]`.

    InvalidInput if the folder is not one; IntegrityError if the table is not the one that was written.
    """
    from discover.candidates.snapshots.snapshot import Snapshot

    folder = Path(folder)
    found = sorted(folder.glob("*.parquet"))
    if len(found) != 1:
        hint = "it holds exactly one snapshot: <hash>.parquet and <hash>.json"
        raise InvalidInput("answers", [Problem("not a folder of answers", value=str(folder), way_out=hint)])
    snapshot = Snapshot.open(found[0].stem, folder)
    snapshot.verify()
    frame = snapshot.frame()
    frame.attrs["manifest"] = dict(snapshot.manifest)
    return frame


def known_answers(
    campaign: Any,
    given: Answers | pd.DataFrame | str | Path | None,
    experiment: Experiment | None,
    about: Mapping[str, Any],
) -> Known:
    """What may stand beside the campaign as 'every answer'.

    given: answers of this very experiment, a frame with its manifest, or a folder. Without them a table is asked itself,
    which costs nothing. about: `describe()` of the campaign's experiment. Several targets have no single line.
    """
    if len(campaign.objective.targets) != 1:
        first = campaign.objective.names[0].replace("_", " ")
        return Known(None, f"This is {first} alone: several targets have no single best, but the front above.")
    if campaign.objective.outcomes:
        others = ", ".join(campaign.objective.outcomes)
        return Known(None, f"What is constrained besides the target ({others}) is not known of the other candidates.")
    if given is None:
        if experiment is not None and about.get("kind") == "table":
            found = ask_everything(campaign.pool, campaign.objective, experiment)
            return Known(found, "The experiment is a table, so every answer is known.")
        return Known(
            None, "The answers of the other candidates are not known, so there is no random line to compare with."
        )
    if isinstance(given, Answers):
        return Known(given, "Every answer is known.")
    frame = read_answers(given) if isinstance(given, (str, Path)) else given
    manifest = frame.attrs.get("manifest")
    if manifest is None:
        return Known(
            None, "The table of answers says nothing of how it was made, so it is not compared with this campaign."
        )
    if differing := mismatches(manifest, about, campaign.provenance()):
        return Known(None, f"The table of all answers was made otherwise ({'; '.join(differing)}), so it is left out.")
    key = campaign.pool.id
    if key not in frame.columns and "id" in frame.columns:
        frame = frame.rename(columns={"id": key})
    try:
        answers = answers_from_frame(campaign.pool, campaign.objective, frame)
    except InvalidInput as error:
        return Known(
            None, f"The table of all answers does not fit these candidates ({error.problems[0]}), so it is left out."
        )
    return Known(
        answers,
        "Every answer was calculated once, by the same method, weights, settings and versions; the campaign never saw them.",
    )


def mismatches(manifest: Mapping[str, Any], about: Mapping[str, Any], provenance: Mapping[str, Any]) -> list[str]:
    """What differs between how the answers were made and how this campaign's numbers are; empty where they are comparable."""
    mine, theirs = about.get("identity"), _within(manifest, "identity")
    if mine is None or theirs is None:
        whose = "the campaign's experiment" if mine is None else "its manifest"
        return [f"{whose} does not say which weights, settings and versions were used"]
    found = [f"{place}: {one!r} there, {other!r} here" for place, one, other in _differences(theirs, mine)]
    own = set(_hashes(provenance))
    snapshot = _within(manifest, "snapshot")
    snapshot = snapshot.get("hash") if isinstance(snapshot, Mapping) else snapshot
    if snapshot not in own:
        found.append("it belongs to another snapshot of candidates")
    return found


def _within(body: Mapping[str, Any], key: str) -> Any:
    """The value of a key at the top of the manifest, or one level down."""
    for candidate in (body, *(value for value in body.values() if isinstance(value, Mapping))):
        if key in candidate:
            return candidate[key]
    return None


def _differences(one: Any, other: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            yield from _differences(one.get(key), other.get(key), f"{place}.{key}" if place else str(key))
    elif one != other:
        yield place, one, other


def _hashes(provenance: Mapping[str, Any]) -> Iterator[str]:
    """Hashes of the campaign's candidates and of every snapshot they were taken from."""
    yield str(provenance.get("snapshot_hash", ""))
    manifest = provenance.get("snapshot")
    while isinstance(manifest, Mapping):
        yield str(manifest.get("hash", ""))
        manifest = manifest.get("parent")
