"""The tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from efficiency.comparing import Estimate, acceleration, mean_with_band
from efficiency.gather import Block, Played
from efficiency.peers import RANDOM

FORESIGHT = "one that knows the answers, and tries the best first after the starts"
LEGEND = (
    "▲ significantly better than the reference there, ▼ significantly worse (Holm-corrected). Experiments count the random "
    "starts; a run that did not get there counts one more than the horizon. EF: top 5 % found over the share of the pool "
    "tried. AF: by first crossing of the level that chance reaches at the horizon. Seconds: median of a proposal by the "
    "processor, fit included, on one thread."
)


def markdown(which: str, blocks: Sequence[Block], pictures: Sequence[str]) -> str:
    """The whole document."""
    lines = [f"# Efficiency on the {which} pools", "", *_preface(blocks), ""]
    for block, picture in zip(blocks, pictures, strict=True):
        words = "one encoding for all" if block.encoding == "same" else "each on its own best encoding"
        lines += [f"## q = {block.q}, {words}", "", *_overall(block), "", f"![Mean best-so-far curves]({picture})", ""]
        for name, played in block.scenes.items():
            lines += [*_pool(block, name, played), ""]
    lines += ["## Versions and machine", "", *versions(blocks), "", LEGEND, ""]
    return "\n".join(lines)


def _preface(blocks: Sequence[Block]) -> list[str]:
    records = [r for b in blocks for p in b.scenes.values() for rs in p.records.values() for r in rs]
    counts = {status: sum(record["status"] == status for record in records) for status in ("done", "late", "failed")}
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    return [
        f"{len(records)} paired runs: {told}. Late and failed ones are scored with what they had found. Made by",
        "`benchmarks/efficiency/table.py`; definitions are in `measures.py`, intervals are 95 % by the bootstrap over seeds.",
    ]


def _overall(block: Block) -> list[str]:
    full = block.full
    lines = []
    if not full or block.reference not in block.titles:
        lines.append("No pool has two paired seeds of every peer yet: no ranks.")
    else:
        siblings = len({block.groups[name] for name in full})
        fewest, most = (f(len(p.seeds) for p in full.values()) for f in (min, max))
        lines += [
            f"Over {len(full)} pools in {siblings} groups of siblings (a group has one vote), "
            f"{fewest}{f' to {most}' if most > fewest else ''} paired seeds each. "
            f"Difference: area of {block.titles[block.reference]} minus the peer's; ± its standard error over seeds, and over "
            "groups. Ratio: the peer's experiments to the top 1 % over ours, geometric mean. Better, worse: pools where the "
            "difference is significant, Holm-corrected at 5 % over all tests of this section.",
            "",
            "| | mean rank | difference | ± seeds | ± groups | ratio | better | worse |",
            "|---|---|---|---|---|---|---|---|",
            *_rows(block),
        ]
    left = {
        n: [*block.absent[n], *(["one seed"] if len(p.seeds) < 2 else [])]
        for n, p in block.scenes.items()
        if n not in full
    }
    if left and full:
        lines += [
            "",
            "Not in it: " + "; ".join(f"{name} (lacks {', '.join(lacks)})" for name, lacks in left.items()) + ".",
        ]
    if block.unplayed:
        lines += ["", f"Without any run, and no part of this section: {', '.join(block.unplayed)}."]
    if none := [name for name in block.absent if name not in block.scenes]:
        lines += ["", f"Without a seed that all its peers have played: {', '.join(none)}."]
    return lines


def _rows(block: Block) -> list[str]:
    ranks = block.ranks()
    lines = [f"| *{FORESIGHT}* | | | | | {block.floor():.2f} | | |"]
    for peer in sorted(block.titles, key=lambda name: ranks[name].mean):
        head = f"| {_strong(block, peer)} | {ranks[peer].mean:.2f} {band(ranks[peer], 2)} |"
        if peer == block.reference:
            lines.append(f"{head} | | | | | |")
            continue
        gain, across = block.gains(peer)
        signs = [sign for (_, other), sign in block.verdicts.items() if other == peer]
        lines.append(
            f"{head} {gain.mean:+.4f} {band(gain, 4)} | {gain.error:.4f} | {_number(across, 4)} | {block.ratio(peer):.2f} | "
            f"{signs.count(1)} | {signs.count(-1)} |"
        )
    return lines


def _pool(block: Block, name: str, played: Played) -> list[str]:
    pool = played.pool
    lines = [
        f"### {name}",
        "",
        f"{len(pool):,} candidates, {pool.direction} {pool.target}, {pool.horizon} experiments of which {len(pool.starts(0))} "
        f"are random starts; {_counted(len(played.seeds), 'paired seed')}.",
        "",
        "| | area | to the top 1 % | reached | to the best | reached | EF (top 5 %) | AF | cpu s per proposal | MB | late, failed |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    order = sorted(played.worth, key=lambda peer: -played.array(peer, "area").mean())
    return lines + [_line(block, name, played, peer) for peer in order]


def _line(block: Block, name: str, played: Played, peer: str) -> str:
    area = mean_with_band(played.array(peer, "area"))
    mark = {1: " ▼", -1: " ▲"}.get(block.verdicts.get((name, peer), 0), "")
    means = {
        m: float(played.array(peer, m).mean())
        for m in ("to_top", "reached_top", "to_best", "reached_best", "enhancement")
    }
    af = acceleration(played.curves(peer), played.curves(RANDOM))
    records = played.records.get(peer, [])
    seconds = [s for record in records for s in record["cpu"]]
    peaks = [record["peak_mb"] for record in records if record["peak_mb"]]
    ended = sum(record["status"] != "done" for record in records)
    cells = [
        f"{_strong(block, peer)}{mark}", f"{area.mean:.3f} {band(area, 3)}",
        f"{means['to_top']:.1f}", f"{means['reached_top']:.0%}", f"{means['to_best']:.1f}", f"{means['reached_best']:.0%}",
        f"{means['enhancement']:.2f}", "< 1" if math.isnan(af) else f"{af:.2f}",
        f"{np.median(seconds):.3f}" if seconds else "", f"{max(peaks):.0f}" if peaks else "",
        f"{ended} of {len(records)}" if ended else "",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def versions(blocks: Sequence[Block]) -> list[str]:
    """What was played on what, a line each."""
    told: dict[str, str] = {}
    for block in blocks:
        for peer, found in block.versions.items():
            packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
            told[f"{peer}@{found['version']}"] = f"- {block.titles[peer]}: {packages} (`{found['version']}`)"
    machines = {
        f"- machine: {found['machine']['processor']}, {found['machine']['cores']} cores, {found['machine']['system']}"
        for block in blocks
        for found in block.versions.values()
    }
    return [*told.values(), *sorted(machines)]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _strong(block: Block, peer: str) -> str:
    title = block.titles[peer]
    return f"**{title}**" if peer == block.reference else title


def band(estimate: Estimate, digits: int) -> str:
    """An interval, or nothing where there is none."""
    return f"[{_number(estimate.low, digits)}, {_number(estimate.high, digits)}]" if math.isfinite(estimate.low) else ""


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "∞"
