"""BayBE with its defaults: a campaign over the listed rows, its Botorch recommender after the starts.

On the same encoding numbers are numerical parameters and categories are one-hot, as everybody has them; a table of
statistics (formulas, structures) is one custom parameter that carries them as they are. On its own: molecules are
substances with the chemical encoding `MORDRED` (its default), described categories are custom parameters.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import pandas as pd
from baybe import Campaign, Settings
from baybe.parameters import (
    CategoricalParameter,
    CustomDiscreteParameter,
    NumericalDiscreteParameter,
    SubstanceParameter,
)  # fmt: skip
from baybe.searchspace import SearchSpace
from baybe.targets import NumericalTarget
from speaking import Table, serve


class Baybe:
    """A campaign, told and asked."""

    spaces: dict[tuple[str, str], Any] = {}  # noqa: RUF012  one process plays many runs on a pool

    def begin(self, table: Table, encoding: str, q: int, seed: int, options: dict[str, Any]) -> None:
        warnings.simplefilter("ignore")
        _seed(seed)
        key = (str(table.folder), encoding)
        if key not in self.spaces:
            self.spaces[key] = _space(table, encoding)
        self.frame, space = self.spaces[key]
        objective = NumericalTarget(name="utility").to_objective()
        self.campaign = Campaign(space, objective, allow_recommending_already_measured=False)

    def step(self, rows: Sequence[int], values: Sequence[float], n: int) -> list[int]:
        told = self.frame.iloc[list(rows)].assign(utility=list(values))
        self.campaign.add_measurements(told)
        return [int(row) for row in self.campaign.recommend(batch_size=n).index]


def _seed(seed: int) -> None:
    Settings(random_seed=seed).activate()


def _space(table: Table, encoding: str) -> tuple[Any, Any]:
    """The frame whose rows are the pool's, and the search space over it."""
    kinds = {column["kind"] for column in table.columns}
    if kinds & {"formula", "structure"}:
        labels = [f"{row:05d}" for row in range(len(table.ids))]
        data = pd.DataFrame(table.common(), index=labels, columns=table.names)
        data = _distinct(data.loc[:, data.max() > data.min()])
        frame = pd.DataFrame({"candidate": labels})
        parameters: list[Any] = [CustomDiscreteParameter("candidate", data=data, decorrelate=False)]
    else:
        frame = pd.DataFrame({column["name"]: column["cells"] for column in table.columns})
        parameters = [_parameter(column, encoding) for column in table.columns]
    return frame, SearchSpace.from_dataframe(frame, parameters)


def _distinct(data: Any) -> Any:
    """Rows that are alike moved apart by a hair in the first column, for a custom parameter refuses them."""
    twin = data.groupby(list(data.columns), sort=False).cumcount()
    size = float(data.iloc[:, 0].abs().max())
    return data.assign(**{data.columns[0]: data.iloc[:, 0] + 1e-6 * size * twin})


def _parameter(column: dict[str, Any], encoding: str) -> Any:
    name, cells = column["name"], column["cells"]
    values = sorted(set(cells))
    if column["kind"] == "number":
        return NumericalDiscreteParameter(name, values=values)
    if encoding == "own" and column["kind"] == "smiles":
        return SubstanceParameter(name, data={smiles: smiles for smiles in values})
    if encoding == "own" and column["descriptors"]:
        data = pd.DataFrame.from_dict(column["descriptors"], orient="index").loc[values]
        return CustomDiscreteParameter(name, data=data.loc[:, data.max() > data.min()])
    return CategoricalParameter(name, values=values)


if __name__ == "__main__":
    serve(Baybe, ("baybe", "botorch", "gpytorch", "torch", "numpy", "scikit-fingerprints", "rdkit"))
