"""Schedules as users write them."""

from datetime import UTC, datetime, timedelta

import pytest

from discover.errors import InvalidInput
from flows.timing import Timing, read_timing


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3600", 3600), ("90s", 90), ("30m", 1800), ("6h", 21600), ("1d12h", 129600), (" 2 H ", 7200), ("1.5h", 5400)],
)
def test_intervals(text, seconds):
    assert read_timing(None, text).interval == seconds


@pytest.mark.parametrize("text", ["", "6x", "h6", "-5", "0", "0.5", "1000d", "6h!", "nan", "1e9"])
def test_what_is_no_interval_is_refused(text):
    with pytest.raises(InvalidInput, match="key '--interval', value") as caught:
        read_timing(None, text)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("line", ["0 2 * * *", "*/15 8-18 * * mon-fri", "@daily"])
def test_cron_lines(line):
    timing = read_timing(line, None, "Europe/Berlin")
    times = timing.next_times(3)
    assert len(times) == 3
    assert times == sorted(times)
    assert times[0] > datetime.now(UTC)


def test_a_cron_line_is_read_in_its_time_zone():
    [here] = read_timing("30 2 * * *", None, "Asia/Kolkata").next_times(1)
    assert here.astimezone(UTC).strftime("%H:%M") == "21:00"


@pytest.mark.parametrize("line", ["", "bad", "61 2 * * *", "0 2 * *", "* * * * * *", "0 2 31 2 *", "0 2 * * *; reboot"])
def test_what_is_no_cron_line_or_never_comes_is_refused(line):
    with pytest.raises(InvalidInput, match="key '--cron'"):
        read_timing(line, None)


def test_all_problems_at_once():
    with pytest.raises(InvalidInput) as caught:
        read_timing("61 2 * * *", "6x", "Europ/Berlin")
    told = str(caught.value)
    assert "give either --cron or --interval" in told
    assert "did you mean 'Europe/Berlin'?" in told
    assert "'6x'" in told
    assert "'61 2 * * *'" in told
    assert len(caught.value.problems) == 4
    with pytest.raises(InvalidInput, match="give either"):
        read_timing(None, None)
    with pytest.raises(InvalidInput, match="an IANA name"):
        read_timing(None, "6h", "Mars")


def test_an_interval_runs_from_now_on():
    first, second = Timing(interval=600.0).next_times(2)
    assert second - first == timedelta(minutes=10)
    assert str(Timing(interval=21600.0)) == "every 6 h"
    assert str(Timing(interval=5.5)) == "every 5.5 s"
    assert str(Timing(cron="0 2 * * *")) == "'0 2 * * *' (UTC)"
