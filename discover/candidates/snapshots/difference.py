"""What changed between two snapshots of the same source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from discover.candidates.snapshots.snapshot import Snapshot

_SHOWN = 5


@dataclass(frozen=True, repr=False)
class Difference:
    """Ids that are new, gone, or whose cells differ in the columns that both snapshots have; columns that only one has.

    In a campaign: returned, ids that had gone and are back; superseded, changed ones whose former version is kept.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.added, self.removed, self.changed, self.returned, self.columns_added, self.columns_removed))

    def __repr__(self) -> str:
        rows = ((self.added, "added"), (self.removed, "removed"), (self.changed, "changed"), (self.returned, "returned"),
                (self.superseded, "kept in the version that was tried"))  # fmt: skip
        columns = ((self.columns_added, "columns added"), (self.columns_removed, "columns removed"))
        parts = [
            f"{len(found):,} {what}{_some(found)}" for found, what in (*rows, *columns) if found or what in _ALWAYS
        ]
        return f"Difference({'; '.join(parts)})"


_ALWAYS = ("added", "removed", "changed")


def difference(old: Snapshot, new: Snapshot) -> Difference:
    """Compare two snapshots row by row, structures included."""
    common, at_old, at_new = np.intersect1d(old.ids, new.ids, assume_unique=True, return_indices=True)
    differs = np.zeros(len(common), dtype=bool)
    shared = [name for name in new.columns if name in old.columns and name not in (old.id, new.id)]
    for name in shared:
        before = old.table([name])[name].combine_chunks().take(pa.array(at_old, type=pa.int64()))
        after = new.table([name])[name].combine_chunks().take(pa.array(at_new, type=pa.int64()))
        differs |= differ(before, after)
    return Difference(
        added=tuple(np.setdiff1d(new.ids, old.ids).tolist()),
        removed=tuple(np.setdiff1d(old.ids, new.ids).tolist()),
        changed=tuple(common[differs].tolist()),
        columns_added=tuple(name for name in new.columns if name not in old.columns),
        columns_removed=tuple(name for name in old.columns if name not in new.columns),
    )


def differ(before: Any, after: Any) -> np.ndarray:
    """Where two columns of the same rows differ; missing equals missing."""
    if before.type != after.type or pa.types.is_nested(before.type):
        pairs = zip(before.to_pylist(), after.to_pylist(), strict=True)
        return np.array([one != other for one, other in pairs], dtype=bool)
    unequal = pc.fill_null(pc.not_equal(before, after), False)
    one_missing = pc.xor(before.is_null(), after.is_null())
    return np.asarray(pc.or_(unequal, one_missing).to_numpy(zero_copy_only=False), dtype=bool)


def _some(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f": {', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}"
