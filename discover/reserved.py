"""Names of columns that campaigns use themselves."""

from __future__ import annotations

RESERVED = frozenset(
    {
        *("proposal_id", "predicted_mean", "predicted_std", "acquisition", "reason", "status", "replicate", "cost"),
        *("measured_at", "source", "note", "fidelity", "context", "state", "worker", "raw_data", "raw_hash"),
    }
)
"""Column names that `ask` and `tell` use themselves; a pool or a target must not."""
RESERVED_RESULTS = RESERVED | {
    *("iteration", "rank", "policy", "probability", "attempts", "details", "seq", "proposed_at", "cached", "extra"),
    *("row", "became", "remark", "key", "n", "verdict", "beaten_by"),
}
"""Names that a target or a pool's id must not have, for tables of results have columns of these names."""
RESERVED_PREFIXES = ("predicted_mean_", "predicted_std_")
