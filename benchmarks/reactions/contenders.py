"""Who plays: the peers of the efficiency study, each on the encoding that a chemist would give it.

A contender is written `peer@encoding`, as in `ours:molecules=substances@own`; the five of the study have names besides.
One that says what becomes of molecules plays tables without SMILES, where that is no question, with its defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from efficiency.peers import Peer, parse
from efficiency.pool import Pool

SETTING = "molecules"
OURS = "substances"
KNOWN = {
    OURS: ("ours: substances, by evidence", "ours:model=evidence,molecules=substances@own"),
    "published": ("ours: published descriptors", "ours@own"),
    "one-hot": ("ours: one-hot", "ours@same"),
    "botorch": ("one-hot Gaussian process (BoTorch)", "botorch@same"),
    "baybe": ("BayBE, chemical encodings", "baybe@own"),
    "optuna": ("Optuna TPE, categorical", "optuna@own"),
}
"""Title and text by name."""


@dataclass(frozen=True)
class Contender:
    """A peer on an encoding, under a name and a title for tables."""

    name: str
    title: str
    peer: Peer
    asked: str

    def at(self, pool: Pool) -> tuple[Peer, str]:
        """The peer and the encoding that it really plays on a pool."""
        idle = SETTING in self.peer.options and not any(column.kind == "smiles" for column in pool.columns)
        peer = replace(self.peer, options={}) if idle else self.peer
        return peer, peer.encoding(pool, self.asked)


def contender(text: str) -> Contender:
    """By name, or from `peer@encoding`. KeyError for an unknown peer; ValueError without an encoding."""
    title, told = KNOWN.get(text, (text, text))
    peer, _, encoding = told.partition("@")
    if encoding not in ("same", "own"):
        raise ValueError(f"{text!r} is neither one of {', '.join(KNOWN)} nor peer@same or peer@own")
    return Contender(text, title, parse(peer), encoding)
