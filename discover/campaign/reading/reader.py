"""What a campaign says of itself: everything that is read and nothing that is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from discover import registry
from discover.campaign.asking.asking import environment, view_of
from discover.campaign.asking.limiting import spending_of
from discover.campaign.claiming import holders, shown_state, shown_worker
from discover.campaign.pool.places import Where, keep_place, open_snapshot, place_of
from discover.campaign.pool.pooling import Candidates, candidates_of
from discover.campaign.reading import tables
from discover.campaign.reading.fronts import Front, front_frame, front_of, with_volume
from discover.campaign.reading.predicting import predictions
from discover.campaign.reading.status import Status, status_of
from discover.campaign.settings import check_count
from discover.campaign.terms import Terms, without_terms
from discover.candidates.snapshots.place import Place
from discover.candidates.space.points import Pool
from discover.errors import UnknownKind
from discover.objective import Objective
from discover.policy.named import named_columns
from discover.protocols import Policy, View
from discover.store.journal import Journal
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.trials import Trial
from discover.store.log.log import EventLog
from discover.values import FeatureTable, Spending


class Reader:
    """A campaign as its readers see it; `Campaign` adds the verbs."""

    def __init__(self, name: str, log: EventLog, *, policy: Policy | None = None):
        """Use `Campaign.create` or `Campaign.open`."""
        self.name = name
        self._journal = Journal(log, name)
        self._policy = policy
        self._held: Candidates | None = None

    @property
    def snapshots(self) -> Place:
        """Where the candidates' snapshots are: a folder, or a place behind a URL."""
        return place_of(self._journal.log.database, self.name)

    def keep_snapshots(self, where: Where | None) -> None:
        """Remember where the snapshots are now. IntegrityError if those of this campaign are not there."""
        keep_place(self._journal.log.database, self.name, where, self._journal.ledger.pools)

    @property
    def uid(self) -> str:
        """A short id that begins every proposal's id."""
        return self._journal.uid

    @property
    def definition(self) -> Mapping[str, Any]:
        """What the campaign was created with, and every accepted change since."""
        return self._journal.ledger.definition

    @cached_property
    def objective(self) -> Objective:
        """What is sought."""
        return Objective.from_dict(self.definition["objective"])

    @property
    def policy(self) -> Policy:
        """The rule that chooses."""
        if self._policy is None:
            self._policy = registry.configure(registry.POLICIES, without_terms(self.definition["policy"]))
        return self._policy

    @property
    def batch_size(self) -> int:
        """How many candidates an unattended iteration proposes."""
        return Terms.of(self.definition["policy"]).batch

    @property
    def by_workers(self) -> bool:
        """Whether an unattended iteration leaves its experiments to workers."""
        return Terms.of(self.definition["policy"]).dispatch == "workers"

    @property
    def budget(self) -> int | None:
        """How many experiments may be started, or None."""
        return self.definition["budget"].get("experiments")

    @property
    def cost_budget(self) -> float | None:
        """What all experiments may cost, or None."""
        return self.definition["budget"].get("cost")

    @property
    def seed(self) -> int:
        """The campaign's seed."""
        return int(self.definition["seed"])

    @property
    def store(self) -> str:
        """The store's URL."""
        return self._journal.log.database.url

    @property
    def files(self) -> Path:
        """The folder of this machine for caches and reports, and for snapshots that are kept nowhere else."""
        return self._journal.log.database.files

    @cached_property
    def _created(self) -> Mapping[str, Any]:
        return self._journal.first.payload

    @property
    def id_name(self) -> str:
        """The candidates' id column, known without the candidates."""
        return str(self._created["pool"]["spec"]["id"])

    @property
    def pool(self) -> Pool:
        """What can be tried, and what could be and was. IntegrityError if the rows are not those that the store says."""
        return self._candidates(self.ledger).pool

    @property
    def features(self) -> FeatureTable:
        """The candidates as numbers, [N, d]."""
        return self._candidates(self.ledger).features

    def _candidates(self, ledger: Ledger) -> Candidates:
        """The candidates of a ledger; they are read again only where they have changed."""
        self._held = candidates_of(ledger, self.snapshots, self.files / "features", self._held)
        return self._held

    @property
    def ledger(self) -> Ledger:
        """The fold of the log, with everything that others have written: what is true now."""
        return self._journal.refresh()

    def view(self) -> View:
        """What a policy may know now."""
        ledger = self.ledger
        candidates = self._candidates(ledger)
        view = view_of(ledger, self.objective, candidates.pool, candidates.features)
        view = replace(view, cache=candidates.sweeps)
        policy = self._policy_here
        return view if policy is None else replace(view, columns=named_columns(policy, candidates.pool))

    @property
    def _policy_here(self) -> Policy | None:
        """The policy; None for somebody's own, which was not given here: nobody asks it."""
        try:
            return self.policy
        except UnknownKind:
            return None

    @property
    def observations(self) -> pd.DataFrame:
        """What was found out, one row a trial, in the order in which it was told; failures included."""
        return tables.observations_frame(self.ledger, self.objective, self.id_name)

    @property
    def pending(self) -> pd.DataFrame:
        """Proposals whose result is expected: the columns of `ask`, their state, and who has them in hand."""
        trials, workers = self.ledger.pending(), holders(self._journal)
        frame = tables.batch_frame(trials, self.objective, self.pool)
        states = [shown_state(trial, workers).value for trial in trials]
        return frame.assign(state=states, worker=[shown_worker(trial, workers) for trial in trials])

    @property
    def proposals(self) -> pd.DataFrame:
        """Every proposal ever made, with its reason, its state and what was found."""
        return tables.proposals_frame(self.ledger, self.objective, self.id_name, holders(self._journal))

    @property
    def iterations(self) -> pd.DataFrame:
        """One row a batch: when, how many, what was learned before it, the best once it was in; the hypervolume, too."""
        found = self.observations
        frame = tables.iterations_frame(self.ledger, self.objective, found)
        return with_volume(frame, found, self.front()) if len(self.objective.targets) > 1 else frame

    @property
    def notes(self) -> pd.DataFrame:
        """Remarks in the log, such as why bits cannot be promised."""
        return pd.DataFrame(self.ledger.notes, columns=["seq", "time", "text"])

    @property
    def spending(self) -> Spending:
        """Experiments started so far (failures and retries count), and their cost: as told, else as the terms know it."""
        ledger = self.ledger
        terms = Terms.of(ledger.definition["policy"])
        if terms.cost is None and not terms.changes:
            return ledger.spending
        return spending_of(ledger, self._candidates(ledger).pool)

    def best(self, n: int = 10) -> pd.DataFrame:
        """The best measured candidates that satisfy every constraint, with their columns; repeated ones once each."""
        return tables.best_frame(self.observations, self.objective, self.pool, check_count(n, "n"))

    def front(self) -> Front:
        """What was measured and keeps the constraints, as utilities; which no other beats; the hypervolume."""
        return front_of(self.observations, self.objective, getattr(self.policy, "reference_point", None))

    def pareto(self) -> pd.DataFrame:
        """The measured candidates that no other beats in all targets, with their columns, by the first target.

        `attrs` hold the hypervolume that they dominate, in the product of the targets' units, and the reference beyond which
        it counts: the policy's `reference_point`, and what that leaves open a tenth of the front's range worse than the front.
        """
        return front_frame(self.front(), self.pool)

    def predict(self, candidates: str | Sequence[str] | pd.DataFrame) -> pd.DataFrame:
        """What the policy's surrogate believes, as the policy has it fitted: one row a candidate, mean and deviation of the
        noiseless targets.

        candidates: ids of the pool, or a frame: read by the columns that the features are made from where it has them all
        (they may be other than the pool's), otherwise by its ids.
        """
        return predictions(self.view(), self.pool, candidates, self._policy_here)

    def status(self) -> Status:
        """Where the campaign stands."""
        status = status_of(
            self.name,
            self.ledger,
            self.pool,
            self.observations,
            self.best(1),
            holders(self._journal),
            self.spending.cost,
        )
        if len(self.objective.targets) == 1:
            return status
        front = self.front()
        members = front.rows.loc[front.member, self.id_name].nunique()
        return replace(status, front=members, hypervolume=front.hypervolume, reference=front.reference_values())

    def provenance(self) -> dict[str, Any]:
        """Where everything comes from: snapshot, definition, features, seed, versions."""
        snapshot = open_snapshot(self.ledger.pool["snapshot"], self.snapshots)
        return {
            "campaign": self.name,
            "uid": self.uid,
            "definition": dict(self.definition),
            "definition_hash": self.ledger.definition_hash,
            "snapshot": dict(snapshot.manifest),
            "snapshot_hash": snapshot.hash,
            "features": {"names": list(self.features.names), "hash": self.features.hash},
            "environment": environment() | {"discover": version("discover-loop")},
            "created": self._journal.first.time,
        }

    def trials(self) -> Sequence[Trial]:
        """Proposals and what became of them, oldest first, for reports and flows."""
        return tuple(self.ledger.trials.values())

    def __repr__(self) -> str:
        return f"Campaign({self.name!r}, store={self.store!r})\n{self.status()}"

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()
