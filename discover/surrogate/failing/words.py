"""Where experiments fail, in words: the leaves of a small decision tree in which most of them did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from discover.values import BoolArray, FeatureTable, IntArray

DEPTH = 3
"""Conditions that one sentence names at most."""
READABLE = ("numbers", "categories", "descriptors", "composition", "structure")
"""Blocks whose features mean something to a reader; bits of a fingerprint do not."""

LARGEST = float(np.finfo(np.float32).max)
"""A tree keeps features in single precision."""

Path = Mapping[int, tuple[float, float]]
"""By feature: above what, and up to what it lies."""


def failure_words(features: FeatureTable, rows: IntArray, worked: BoolArray) -> list[str]:
    """Sentences such as `fails where ligand is PPh3 and temperature > 100 (8 of 9)`, most failures first.

    rows, worked: [k], candidates that were tried and whether they gave a number. [] where no leaf of a tree of three levels
    (Breiman et al. 1984; scikit-learn) has at least two failures and more failures than successes.
    """
    from sklearn.tree import DecisionTreeClassifier

    columns = _readable(features)
    if not len(columns) or worked.all() or not worked.any():
        return []
    X = features.values[rows][:, columns].clip(-LARGEST, LARGEST)
    model = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=2, random_state=0).fit(X, ~worked)
    leaf = model.apply(X)
    found: list[tuple[int, int, str]] = []
    for node, path in _leaves(model.tree_):
        inside = leaf == node
        failed, size = int((~worked & inside).sum()), int(inside.sum())
        if failed >= 2 and 2 * failed > size:
            found.append((failed, size, _said(path, [features.names[c] for c in columns])))
    found.sort(key=lambda one: (-one[0], one[1], one[2]))
    return [f"fails where {where} ({failed} of {size})" for failed, size, where in found if where]


def _readable(features: FeatureTable) -> IntArray:
    if not features.blocks:
        return np.arange(len(features.names), dtype=np.int64)
    parts = [np.arange(b.start, b.stop) for b in features.blocks if b.kind in READABLE]
    return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, dtype=np.int64)


def _leaves(tree: Any) -> list[tuple[int, Path]]:
    """Every leaf of a fitted tree with the bounds of the features on the way to it."""
    found: list[tuple[int, Path]] = []
    open_: list[tuple[int, dict[int, tuple[float, float]]]] = [(0, {})]
    while open_:
        node, path = open_.pop()
        if tree.children_left[node] < 0:
            found.append((node, path))
            continue
        k, limit = int(tree.feature[node]), float(tree.threshold[node])
        low, high = path.get(k, (-np.inf, np.inf))
        open_.append((int(tree.children_left[node]), path | {k: (low, min(high, limit))}))
        open_.append((int(tree.children_right[node]), path | {k: (max(low, limit), high)}))
    return found


def _said(path: Path, names: list[str]) -> str:
    """A path in words; of a category that a column has, the ones that it has not are left out."""
    had, lacked = _categories(path, names)
    parts = [f"{column} is {category}" for column, category in had.items()]
    for column, categories in lacked.items():
        every = [name.partition("=")[2] for name in names if name.startswith(f"{column}=")]
        left = [one for one in every if one not in categories]
        if column not in had:
            told = f"is {left[0]}" if len(left) == 1 else f"is not {' or '.join(categories)}"
            parts.append(f"{column} {told}")
    for k, (low, high) in path.items():
        if "=" in names[k]:
            continue
        if np.isfinite(low) and np.isfinite(high):
            parts.append(f"{names[k]} between {low:.4g} and {high:.4g}")
        else:
            parts.append(f"{names[k]} > {low:.4g}" if np.isfinite(low) else f"{names[k]} up to {high:.4g}")
    return " and ".join(parts)


def _categories(path: Path, names: list[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """By column: the category that it has, and those that it has not."""
    had: dict[str, str] = {}
    lacked: dict[str, list[str]] = {}
    for k, (low, _) in path.items():
        column, sign, category = names[k].partition("=")
        if sign and low >= 0.0:
            had[column] = category
        elif sign:
            lacked.setdefault(column, []).append(category)
    return had, lacked
