"""Campaigns whose experiments somebody else makes: what a flow, a command line and a notebook call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pandas as pd

from discover.campaign.experiments.outside import collect_outside, dispatch_outside
from discover.campaign.experiments.running import check_experiment
from discover.campaign.reading.reader import Reader
from discover.campaign.telling import transitions
from discover.campaign.telling.conditions import MixedUp, units_of_conditions
from discover.campaign.telling.told_frame import tell_frame
from discover.errors import InvalidInput, Unsupported
from discover.protocols import OutsideExperiment
from discover.store.ledger.life import State

if TYPE_CHECKING:
    from discover.experiment.laboratory.inbox import Sheet


@runtime_checkable
class BringsSheets(Protocol):
    """An outside experiment whose results come in as sheets of rows, not by key."""

    def incoming(self, id_name: str, conditions: Mapping[str, str]) -> Iterator[Sheet]:
        """Sheets that came in, one by one. conditions: columns that say what a candidate is, with their units."""
        ...

    def settle(self, sheet: Sheet, became: pd.DataFrame) -> Path | None:
        """Put a sheet away once its good rows are committed; where its bad rows wait, or None."""
        ...


@dataclass(frozen=True)
class Told:
    """A sheet that came in: what its rows became, where the bad ones wait, and all of it in words."""

    path: Path
    became: pd.DataFrame
    quarantine: Path | None
    report: str


@dataclass(frozen=True)
class Collected:
    """What came in: results by key, and sheets."""

    results: int = 0
    sheets: tuple[Told, ...] = ()


def outside(experiment: Any) -> OutsideExperiment:
    """The experiment, or Unsupported where nobody outside makes it."""
    if not isinstance(experiment, OutsideExperiment):
        raise Unsupported(
            "nothing is handed over in this campaign: its experiment is not of a kind such as 'command' or 'laboratory'"
        )
    return experiment


def dispatch(campaign: Reader, experiment: OutsideExperiment, limit: int | None = None) -> int:
    """Hand over what is proposed, approved or to be retried, and not past its deadline; how many. Hold the campaign's lease.

    limit: how many attempts may be begun. NotHandedOver if the outside did not take some; those keep their keys, and the
    next dispatch hands them over.
    """
    check_experiment(experiment, campaign.objective, campaign.pool)
    transitions.expire(campaign._journal, campaign._journal.log.now())
    return dispatch_outside(campaign._journal, campaign.objective, experiment, limit)


def collect(
    campaign: Reader, experiment: OutsideExperiment, say: Callable[[str], Any] = lambda report: None
) -> Collected:
    """Commit what has come in, by key and by sheet, and close what is past its deadline. Hold the campaign's lease.

    say: told of every sheet what its rows became.
    """
    results = collect_outside(campaign._journal, campaign.objective, experiment)
    sheets = []
    if isinstance(experiment, BringsSheets):
        tell = partial(tell_frame, campaign._journal, campaign.objective, campaign.pool, extra=(), correcting=None)
        tell_sheet = partial(tell, dry_run=False, partial=True, of_one_piece=True)
        for told in collect_sheets(experiment, campaign.id_name, tell_sheet, units_of_conditions(campaign.pool)):
            say(told.report)
            sheets.append(told)
    transitions.expire(campaign._journal, campaign._journal.log.now())
    return Collected(results, tuple(sheets))


def collect_sheets(
    experiment: BringsSheets,
    id_name: str,
    tell: Callable[[pd.DataFrame], pd.DataFrame],
    conditions: Mapping[str, str],
) -> Iterator[Told]:
    """Tell the sheets that came in, one by one: good rows are committed, then the sheet is put away.

    tell: commits the good rows of a frame and returns what each row became; MixedUp where nothing of it can be relied on. A
    sheet that was told and not put away is told again the next time; that is no harm.
    """
    for sheet in experiment.incoming(id_name, conditions):
        became = pd.DataFrame(columns=["row", "proposal_id", "became", "remark"])
        if len(sheet.frame):
            try:
                became = tell(sheet.frame)
            except MixedUp as error:
                sheet = sheet.mixed_up(error.problems)
            except InvalidInput as error:  # of the columns, and so of every row
                why = "; ".join(str(problem) for problem in error.problems)
                became = pd.DataFrame([{"row": row, "became": "refused", "remark": why} for row in sheet.frame.index])
        waits = experiment.settle(sheet, became)
        yield Told(sheet.path, became, waits, sheet.report(became, waits))


def under_way(campaign: Reader) -> str:
    """What is expected, in words."""
    counts: dict[str, int] = {}
    unknown, waiting = [], 0
    for trial in campaign.ledger.pending():
        counts[trial.state.value] = counts.get(trial.state.value, 0) + 1
        unknown += [trial.proposal_id] if trial.state is State.UNKNOWN else []
        waiting += trial.waits_for_a_person
    told = ", ".join(f"{counts[state]} {state}" for state in sorted(counts)) or "nothing is under way"
    told += f" (of which {waiting} wait for a person: 'discover approve')" if waiting else ""
    return told + (f" (say what you know with 'discover settle': {', '.join(unknown)})" if unknown else "")
