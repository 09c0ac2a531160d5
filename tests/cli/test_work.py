"""`discover work` as real processes: signals, kills, several at once, and beside `discover run`."""

import os
import signal
import subprocess
import time

import pytest

from discover import Campaign
from discover.definition import load

TIMEOUT = 60


@pytest.fixture
def start(request):
    """Starts `discover …`; what still runs at the end is killed."""
    running = []
    where = request.getfixturevalue("either_place" if "either_place" in request.fixturenames else "place")

    def start(*arguments, **more):
        process = subprocess.Popen(
            where.command(*arguments), env=where.environment | more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(true, seconds=TIMEOUT):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def campaign(place):
    return load(place.file).open(place.store)


def test_workers_do_all_there_is_and_end(place, campaign, start):
    campaign.ask(8)
    jobs = start("work", str(place.file), "--jobs", "2", "--worker", "node")
    output, _ = jobs.communicate(timeout=TIMEOUT)
    assert jobs.returncode == 0, output
    assert output.count("yield 0.") == 8
    assert campaign.status().measured == 8
    ran = [candidate for candidate, _ in place.lines("end")]
    assert len(ran) == len(set(ran)) == 8
    assert set(campaign.proposals["worker"]) <= {"node-1", "node-2"}
    assert all(0 <= e["seconds"] < 5 and e["worker"].startswith("node-") for e in campaign.observations["extra"])
    assert campaign.status().workers == []


def test_the_budget_and_the_limit_bind_workers(place, campaign, start):
    campaign.ask(20)
    work = start("work", str(place.file), "--limit", "3")
    assert "3 experiments made" in work.communicate(timeout=TIMEOUT)[0]
    work = start("work", str(place.file))
    assert "9 experiments made" in work.communicate(timeout=TIMEOUT)[0]
    assert campaign.spending.experiments == campaign.budget == 12


def test_the_first_signal_finishes_what_is_in_hand(place, campaign, start):
    campaign.ask(4)
    (place.folder / "wait").touch()
    work = start("work", str(place.file), "--forever")
    until(lambda: place.lines("begin"))
    assert campaign.pending["state"].tolist().count("submitted") == 1
    assert campaign.status().in_hand == 1
    work.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert work.poll() is None
    (place.folder / "wait").unlink()
    output, _ = work.communicate(timeout=TIMEOUT)
    assert work.returncode == 128 + signal.SIGTERM, output
    assert campaign.status().measured == 1
    assert campaign.status().workers == []


@pytest.mark.parametrize("way", ["second signal", "grace"])
def test_what_cannot_be_finished_is_given_back_and_repeated_under_its_attempt(place, campaign, start, way):
    campaign.ask(1)
    (place.folder / "wait").touch()
    work = start("work", str(place.file), "--grace", "60" if way == "second signal" else "0.5")
    until(lambda: place.lines("begin"))
    work.send_signal(signal.SIGINT)
    if way == "second signal":
        time.sleep(0.3)
        work.send_signal(signal.SIGINT)
    begun = time.monotonic()
    work.wait(timeout=TIMEOUT)
    assert time.monotonic() - begun < 10
    assert work.returncode == 128 + signal.SIGINT
    assert campaign.pending["state"].tolist() == ["submitted"]
    assert campaign.status().workers == []
    (place.folder / "wait").unlink()
    assert campaign.run_pending(load(place.file).runner(campaign.files)) == 1
    assert campaign.spending.experiments == 1
    assert campaign.proposals["attempts"].tolist() == [1]
    assert len(place.lines("begin")) == 2


def test_a_failure_at_the_stop_is_not_believed(place, campaign, start):
    campaign.ask(1)
    (place.folder / "wait").touch()
    work = start("work", str(place.file))
    until(lambda: place.lines("begin"))
    work.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    (place.folder / "fail").touch()
    (place.folder / "wait").unlink()
    work.communicate(timeout=TIMEOUT)
    assert campaign.status().failed == 0
    assert campaign.pending["state"].tolist() == ["submitted"]


def test_a_killed_worker_loses_nothing(either_place, start):
    either_place.write(seconds=0.1)
    campaign = load(either_place.file).open(either_place.store)
    campaign.ask(6)
    first = start("work", str(either_place.file))
    until(lambda: len(either_place.lines("begin")) == 3)
    first.kill()
    first.wait()
    second = start("work", str(either_place.file))
    output, _ = second.communicate(timeout=TIMEOUT)
    assert second.returncode == 0, output
    assert campaign.status().measured == 6
    assert campaign.spending.experiments == 6
    assert campaign.proposals["attempts"].tolist() == [1] * 6
    ended = [candidate for candidate, _ in either_place.lines("end")]
    assert len(either_place.lines("begin")) <= 7
    assert set(ended) == set(campaign.observations["dye"])
    assert len(campaign.observations) == 6


def test_workers_of_a_starter_that_is_killed_stop_too(place, campaign, start):
    campaign.ask(12)
    jobs = start("work", str(place.file), "--jobs", "2", "--forever", "--grace", "1")
    until(lambda: len(place.lines("end")) == 12)
    workers = {pid for _, pid in place.lines("end")}
    jobs.kill()
    until(lambda: not any(alive(pid) for pid in workers), 20)


def test_a_worker_that_crashes_is_started_again(place, campaign, start):
    campaign.ask(4)
    (place.folder / "wait").touch()
    jobs = start("work", str(place.file), "--jobs", "2")
    until(lambda: len(place.lines("begin")) == 2)
    os.kill(place.lines("begin")[0][1], signal.SIGKILL)
    until(lambda: len(place.lines("begin")) == 3)
    (place.folder / "wait").unlink()
    output, _ = jobs.communicate(timeout=TIMEOUT)
    assert jobs.returncode == 0, output
    assert "was killed by SIGKILL; starting it again" in output
    assert campaign.status().measured == 4
    assert campaign.spending.experiments == 4


def test_a_worker_waits_for_its_campaign_to_begin(place, start):
    assert "has not begun" in start("work", str(place.file)).communicate(timeout=TIMEOUT)[0]
    work = start("work", str(place.file), "--wait", "30", "--limit", "1")
    time.sleep(2)
    load(place.file).open(place.store).ask(1)
    assert "1 experiment made" in work.communicate(timeout=TIMEOUT)[0]


def test_a_campaign_without_an_experiment_has_no_workers(place, start):
    lines = [line for line in place.file.read_text().splitlines() if "experiment:" not in line]
    place.file.write_text("\n".join(lines))
    work = start("work", str(place.file))
    assert "no experiment that a worker could run" in work.communicate(timeout=TIMEOUT)[0]
    assert work.returncode == 1


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_opened_by_name_a_campaign_has_workers_too(place, campaign):
    from discover.campaign.unattended.working import Worker

    campaign.ask(2)
    same = Campaign.open("dyes", store=place.store)
    assert Worker(same, load(place.file).runner(same.files)).work() == 2
    assert campaign.status().measured == 2
