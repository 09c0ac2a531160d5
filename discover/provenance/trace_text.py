"""A trace as lines for a terminal: from the result back to the snapshot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

LONG = 160
"""Characters of a value that are shown; the JSON has all."""
_PROVENANCE = (
    *("kind", "source", "title", "query", "database_version", "db_version", "endpoint", "licence", "license", "doi"),
    *("citation", "retrieved_at", "builder", "parent"),
)


def lines(body: Mapping[str, Any]) -> Iterator[str]:
    """What happened to a candidate, and where it comes from."""
    found = body["candidate"]
    yield _line("candidate", f"{found['id']}, version {found['version']}")
    yield _line("", _pairs(found["values"]))
    for result in body["results"]:
        yield _line(
            "result", f"event {result['seq']} {result['kind']}: {_pairs(result, ('seq', 'kind', 'candidate_id'))}"
        )
    for proposal in body["proposals"]:
        yield ""
        yield from _proposal(proposal)
    yield ""
    yield from _snapshot(body["snapshot"])
    yield from _features(body["features"])
    campaign = body["campaign"]
    told = f"{campaign['name']} ({campaign['uid']}), begun {campaign['created']} with {_pairs(campaign['program'])}"
    yield _line("campaign", told)
    yield _line("", f"definition {campaign['definition_hash']}")
    yield ""
    yield from _events(body["events"])


def _proposal(proposal: Mapping[str, Any]) -> Iterator[str]:
    key = f", key {proposal['key']}" if proposal["key"] else ""
    place = f"{proposal['place']} of {proposal['batch']} in batch {proposal['iteration']}{key}"
    yield _line("proposal", f"{proposal['proposal_id']}: {proposal['state']}; {place}")
    yield _line("why", f"{proposal['policy']}: {proposal['reason']}")
    told = [_predicted(proposal["predicted"])]
    if proposal["acquisition"] is not None:
        told.append(f"acquisition {proposal['acquisition']!r}")
    if proposal["probability"] is not None:
        told.append(f"probability of this choice {proposal['probability']:.3g}")
    if any(told):
        yield _line("predicted", "; ".join(word for word in told if word))
    if proposal["deadline"] or proposal["awaits_approval"]:
        asked = "waits for approval" if proposal["awaits_approval"] else ""
        until = f"until {proposal['deadline']}" if proposal["deadline"] else ""
        yield _line("terms", ", ".join(word for word in (asked, until) if word))
    yield from _choice(proposal)


def _predicted(predicted: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {p['mean']:.6g} ± {p['std']:.3g}" for name, p in predicted.items())


def _choice(proposal: Mapping[str, Any]) -> Iterator[str]:
    choice = proposal["choice"]
    if proposal["details"]:
        yield _line("model", _pairs(proposal["details"]))
    learned = {k: v for k, v in choice["learned"].items() if proposal["details"].get(k) != v}
    if learned:
        yield _line("learned", _pairs(learned))
    yield _line("settings", _pairs(choice["settings"]))
    yield _line(
        "data seen",
        f"{choice['observations']} observations, events up to {choice['basis']}, hash {choice['seen'] or 'none: chosen by hand'}",
    )
    if choice["seed"]:
        yield _line("seed", choice["seed"])
    if choice["environment"]:
        yield _line("computed", _pairs(choice["environment"]))


def _snapshot(snapshot: Mapping[str, Any]) -> Iterator[str]:
    rows = f", {snapshot['rows']:,} rows" if "rows" in snapshot else ""
    yield _line("snapshot", f"{snapshot['hash']}{rows}, in {snapshot['place']}")
    if "problem" in snapshot:
        yield _line("", snapshot["problem"])
    told = snapshot.get("provenance", {})
    for name in (*(n for n in _PROVENANCE if n in told), *(n for n in sorted(told) if n not in _PROVENANCE)):
        yield _line("", f"{name.replace('_', ' ')}: {_short(told[name])}")


def _features(features: Mapping[str, Any]) -> Iterator[str]:
    if "names" not in features:
        return
    parts = ", ".join(f"{part['kind']} ({part['names']})" for part in features["parts"])
    yield _line("features", f"{len(features['names'])}: {parts}")
    yield _line("", f"hash {features['hash']}, featurizers {features['fingerprint']}")


def _events(events: list[Mapping[str, Any]]) -> Iterator[str]:
    for event in events:
        who = f"{event['actor']}@{event['host']}" + (f" ({event['cause']})" if event["cause"] else "")
        yield _line(
            "event", f"{event['seq']:>6}  {event['time'][:19]}  {event['kind']:<10} {who}  {_short(event['told'])}"
        )


def _pairs(values: Mapping[str, Any], without: tuple[str, ...] = ()) -> str:
    return ", ".join(f"{key} {_short(value)}" for key, value in values.items() if key not in without)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONG else f"{text[: LONG - 1]}…"


def _line(name: str, text: str) -> str:
    """A line in which nothing can move the cursor or colour the terminal."""
    return "".join(c if c.isprintable() else " " for c in f"{name:<11} {text}").rstrip()
