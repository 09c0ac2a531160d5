"""One spelling of a Materials Project id.

Since database v2026.04.13 the service writes ids in letters: `mp-149`, `mp-ft` and `mp-aaaaaaft` are one material.
Rows are keyed on the integer behind them.
"""

from __future__ import annotations

from functools import lru_cache

from discover.errors import SourceIntegrityError


@lru_cache(maxsize=262144)
def canonical_id(spelling: str) -> str:
    """The id with its number written in digits: `mp-ft` becomes `mp-149`. SourceIntegrityError if it is no such id."""
    from emmet.core.mpid import AlphaID

    try:
        parsed = AlphaID(spelling)
        prefix, number = parsed.parts
    except (ValueError, TypeError, AttributeError, KeyError, IndexError):
        prefix, number = "", 0
    if not prefix:
        raise SourceIntegrityError(f"{spelling!r} is not a Materials Project id such as 'mp-149' or 'mp-aaaaaaft'")
    return f"{prefix}-{number}"
