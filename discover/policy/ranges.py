"""How large options may be. What is larger would fill the memory of a machine before it is of any use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from discover.errors import Problem

TOGETHER = 10_000
"""Candidates that are believed in jointly: their covariance alone takes 0.8 GB."""
DRAWS = 65_536
NUMBERS = 2**26
"""Numbers in the joint draws of all of them: 0.5 GB, held several times over."""
CHUNK = 65_536
"""Rows that are looked at together anywhere."""

Ends = tuple[int, "int | None"]
"""The least and the greatest value of an option; None where a great one costs nothing."""


def range_problems(options: object, ends: Mapping[str, Ends]) -> Iterator[Problem]:
    """Options, attributes of an object, that lie beyond their ends."""
    for name, (low, high) in ends.items():
        value = getattr(options, name)
        if value < low:
            yield Problem(f"must be at least {low:,}", column=name, value=value)
        elif high is not None and value > high:
            hint = "more would not fit into memory"
            yield Problem(f"must be at most {high:,}", column=name, value=value, way_out=hint)


def draws_problems(draws: int, rows: int) -> Iterator[Problem]:
    """So many joint draws of so many candidates, where they do not fit into memory together."""
    if rows <= TOGETHER and draws <= DRAWS and draws * rows > NUMBERS:
        message = f"so many joint draws of {rows:,} candidates would not fit into memory"
        yield Problem(message, column="draws", value=draws, way_out=f"at most {NUMBERS // rows:,}, or fewer candidates")
