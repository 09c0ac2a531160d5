"""The pools: tables whose answers are all known, read from ../shared/data beside the repository.

    python benchmarks/efficiency/pools.py      # what is there: rows, columns, direction, replicates, what was dropped

What is done to a table before it is a pool, and said in `remarks`:

- rows without a target or an input are dropped;
- rows with the same inputs are one candidate. Its truth, which is all that measures see, is their mean; what an experiment
  tells is one of them, drawn by the seed, the same for every peer;
- numbers that are the same for all rows are left out, and descriptors of a column in which all categories have the same;
- bulk modulus: 5 of 6,307 values above 500 GPa are dropped (diamond, the stiffest known, has 443);
- dielectric: 27 of 4,764 refractive indices above 10 are dropped, as outliers;
- perovskites by CHGNet: 9 of 320 whose minimum lies at the edge of the calculated range are dropped.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from efficiency.catalogue import POOLS, entry
from efficiency.pool import Pool
from efficiency.readers import READERS

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


class Missing(Exception):
    """A pool's files are not there."""


@functools.cache
def load(name: str, data: Path = DATA) -> Pool:
    """The pool of that name. Missing where its files are not there; KeyError for an unknown name."""
    one = entry(name)
    try:
        return READERS[name](one, data)
    except FileNotFoundError as error:
        raise Missing(f"{name}: {error.filename} is not there") from error


def main() -> None:
    """One line a pool."""
    for one in POOLS:
        try:
            pool = load(one.name)
        except Missing as error:
            print(f"{one.name:24s} skipped: {error}")
            continue
        kinds = ", ".join(
            f"{sum(c.kind == kind for c in pool.columns)} {kind}"
            for kind in dict.fromkeys(c.kind for c in pool.columns)
        )
        described = sum(len(next(iter(c.descriptors.values()))) for c in pool.columns if c.descriptors)
        more = f" ({described} descriptors)" if described else ""
        print(
            f"{pool.name:24s} {one.family:13s} {len(pool):5d} rows, {pool.common.shape[1]:3d} numbers from {kinds}{more}; "
            f"{pool.direction} {pool.target}, horizon {pool.horizon}. {'; '.join(pool.remarks)}"
        )


if __name__ == "__main__":
    main()
