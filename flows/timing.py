"""When a deployment runs: cron or interval, as a user writes them, checked before anything is registered."""

from __future__ import annotations

import asyncio
import difflib
import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import available_timezones

from discover.errors import InvalidInput, Problem

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LONGEST = 366 * UNITS["d"]


@dataclass(frozen=True)
class Timing:
    """Either cron or interval [s], in a time zone."""

    cron: str | None = None
    interval: float | None = None
    timezone: str = "UTC"

    def __str__(self) -> str:
        return f"{self.cron!r} ({self.timezone})" if self.cron else f"every {_duration(self.interval or 0)}"

    def next_times(self, n: int) -> list[datetime]:
        """When it would run, from now on; an empty list for a cron line that never comes."""
        from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule

        if self.cron:
            dates = CronSchedule(cron=self.cron, timezone=self.timezone).get_dates(n)
        else:
            dates = IntervalSchedule(interval=timedelta(seconds=self.interval or 0)).get_dates(n)
        return list(asyncio.run(dates))


def read_timing(cron: str | None, interval: str | None, timezone: str = "UTC") -> Timing:
    """A checked timing; InvalidInput reports every problem at once."""
    problems = []
    if (cron is None) == (interval is None):
        problems.append(
            Problem("give either --cron or --interval", way_out="such as --cron '0 2 * * *' or --interval 6h")
        )
    zones = available_timezones()
    known = not zones or timezone in zones  # a machine without the tables cannot say
    if not known:
        problems.append(Problem("is no time zone", key="--timezone", value=timezone, way_out=_like(timezone, zones)))
    seconds = None
    if interval is not None:
        seconds, wrong = _seconds(interval)
        problems += (
            [Problem(wrong, key="--interval", value=interval, way_out="such as 3600, 30m, 6h, 1d12h")] if wrong else []
        )
    timing = Timing(cron, seconds, timezone)
    if cron is not None and (wrong := _wrong_cron(timing if known else Timing(cron))):
        hint = "five fields: minute hour day month weekday, such as '0 2 * * *' for two o'clock every night"
        problems.append(Problem(wrong, key="--cron", value=cron, way_out=hint))
    if problems:
        raise InvalidInput("schedule", problems)
    return timing


def _like(timezone: str, zones: set[str]) -> str:
    close = difflib.get_close_matches(timezone, zones, n=1)
    return f"did you mean {close[0]!r}?" if close else "an IANA name, such as Europe/Berlin"


def _seconds(text: str) -> tuple[float | None, str]:
    clean = text.strip().lower().replace(" ", "")
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhdw])", clean)
    if re.fullmatch(r"\d+(\.\d+)?", clean):
        seconds = float(clean)
    elif parts and "".join(n + unit for n, unit in parts) == clean:
        seconds = math.fsum(float(n) * UNITS[unit] for n, unit in parts)
    else:
        return None, "is no length of time"
    if not 1 <= seconds <= LONGEST:
        return None, "is not between a second and a year"
    return seconds, ""


def _wrong_cron(timing: Timing) -> str:
    """What is wrong with a cron line, or ''."""
    if timing.cron is not None and not timing.cron.startswith("@") and len(timing.cron.split()) != 5:
        return "a cron line has five fields"
    try:
        return "" if timing.next_times(1) else "never comes"
    except Exception:  # of several kinds, by how it is wrong
        return "is no cron line, or never comes"


def _duration(seconds: float) -> str:
    for unit, size in reversed(UNITS.items()):
        if seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
