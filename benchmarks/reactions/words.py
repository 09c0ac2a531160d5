"""The tables in Markdown."""

from __future__ import annotations

import numpy as np
from efficiency.comparing import Estimate, mean_with_band, ratio_of_means
from efficiency.gather import Block, Played
from efficiency.words import band, versions

from discover.values import FloatArray

LEGEND = (
    "▲ significantly better than the reference there, ▼ significantly worse, by area. Experiments count the random starts; a run that "
    "did not get there counts one more than the horizon, so that means are lower bounds; `reached` is the share that did. Those of "
    "chance are expectations over all orders."
)
GOALS = {"to_five": "to the top 5 %", "to_top": "to the top 1 %", "to_best": "to the best"}
REACHED = {"to_five": "reached_five", "to_top": "reached_top", "to_best": "reached_best"}


def markdown(which: str, block: Block, picture: str) -> str:
    """The whole document."""
    return "\n".join(
        [
            f"# Reactions: the {which} tables",
            "",
            *_preface(block),
            "",
            *_goal(block),
            "",
            *_floor(block),
            "",
            f"![Mean best-so-far curves]({picture})",
            "",
            *(line for name, played in block.scenes.items() for line in [*_table(block, name, played), ""]),
            "## Versions and machine",
            "",
            *versions([block]),
            "",
            LEGEND,
            "",
        ]
    )


def _preface(block: Block) -> list[str]:
    records = [r for p in block.scenes.values() for rs in p.records.values() for r in rs]
    counts = {status: sum(r["status"] == status for r in records) for status in ("done", "late", "failed")}
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    lines = [
        f"{len(records)} paired runs, five at a time after ten random starts: {told}. Made by `benchmarks/reactions/table.py`; "
        "definitions are in `benchmarks/efficiency/measures.py`, intervals are 95 % by the bootstrap.",
    ]
    if block.unplayed:
        lines += ["", f"Without any run: {', '.join(block.unplayed)}."]
    if left := [name for name in block.absent if name not in block.full]:
        lacks = (f"{name} (lacks {', '.join(block.absent[name]) or 'seeds that all have played'})" for name in left)
        lines += ["", f"Not in the comparison: {'; '.join(lacks)}."]
    return lines


def _goal(block: Block) -> list[str]:
    """Ratios of experiments over all tables."""
    full = block.full
    if not full or block.reference not in block.titles:
        return ["No table has two paired seeds of every contender yet: nothing to compare."]
    seeds = sorted({len(played.seeds) for played in full.values()})
    told = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    lines = [
        f"Over {len(full)} tables in {len({block.groups[name] for name in full})} groups of siblings (a group has one vote), {told} "
        f"paired seeds each. Ratio: experiments of {block.titles[block.reference]} over those of the other, starts included, geometric "
        "mean; below 1 is better. First interval: over seeds, these tables. In brackets: over tables, too. Area: of the reference minus "
        "the other's. Better, worse: tables where the area is so significantly (Student's paired test over seeds, Holm-corrected at "
        "5 % over all tests of this section).",
        "",
        f"| against | {' | '.join(f'ratio {words}' for words in GOALS.values())} | area | better | worse |",
        "|---|---|---|---|---|---|---|",
    ]
    return lines + [_against(block, other) for other in block.others]


def _against(block: Block, other: str) -> str:
    played = block.full.items()
    ratios = [_ratio({n: (p.array(block.reference, m), p.array(other, m)) for n, p in played}, block) for m in GOALS]
    gain, _ = block.gains(other)
    signs = [sign for (_, name), sign in block.verdicts.items() if name == other]
    cells = [
        block.titles[other], *ratios, f"{gain.mean:+.3f} {band(gain, 3)}",
        f"{signs.count(1)} of {len(signs)}", f"{signs.count(-1)} of {len(signs)}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _floor(block: Block) -> list[str]:
    """The ratios of one that knows the answers: below them no policy comes."""
    if not block.full:
        return []
    lines = [
        "What the starts leave to be gained: one that knew the answers, and tried the best first after the starts, over each.",
        "",
        f"| | {' | '.join(f'ratio {words}' for words in GOALS.values())} |",
        "|---|---|---|---|",
    ]
    for one, title in block.titles.items():
        told = (_ratio({n: (p.least(m), p.array(one, m)) for n, p in block.full.items()}, block) for m in GOALS)
        lines.append(f"| {title} | {' | '.join(told)} |")
    return lines


def _ratio(pairs: dict[str, tuple[FloatArray, FloatArray]], block: Block) -> str:
    """Of experiments [seeds] over experiments [seeds], table by table."""
    values: dict[str, FloatArray] = {name: np.stack(pair, axis=1) for name, pair in pairs.items()}
    seeds, tables = (ratio_of_means(values, block.groups, tables=also) for also in (False, True))
    return f"{seeds.mean:.2f} {band(seeds, 2)} ({_plain(tables)})"


def _plain(estimate: Estimate) -> str:
    return f"{estimate.low:.2f} to {estimate.high:.2f}"


def _table(block: Block, name: str, played: Played) -> list[str]:
    pool = played.pool
    order = sorted(played.worth, key=lambda one: played.array(one, "to_five").mean())
    return [
        f"### {name}",
        "",
        f"{len(pool):,} candidates, {pool.direction} {pool.target}, {pool.horizon} experiments of which {len(pool.starts(0))} "
        f"are random starts; {len(played.seeds)} paired seeds.{''.join(f' {remark}.' for remark in pool.remarks)}",
        "",
        f"| | {' | '.join(f'{words} | reached' for words in GOALS.values())} | area | cpu s a run |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_line(block, name, played, one) for one in order),
    ]


def _line(block: Block, name: str, played: Played, one: str) -> str:
    mark = {1: " ▼", -1: " ▲"}.get(block.verdicts.get((name, one), 0), "")
    title = f"**{block.titles[one]}**" if one == block.reference else block.titles[one]
    cells = [f"{title}{mark}"]
    for measure, reached in REACHED.items():
        needed = mean_with_band(played.array(one, measure))
        cells += [f"{needed.mean:.1f} {band(needed, 1)}", f"{played.array(one, reached).mean():.0%}"]
    area = mean_with_band(played.array(one, "area"))
    seconds = [sum(record["cpu"]) for record in played.records.get(one, [])]
    cells += [f"{area.mean:.3f} {band(area, 3)}", f"{np.mean(seconds):.1f}" if seconds else ""]
    return f"| {' | '.join(cells)} |"
