"""Claims: each proposal goes to one worker; a dead or silent one's go to another, and its results are fenced."""

import multiprocessing
import random
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from discover.errors import LeaseLost, StoreError
from discover.store.leases.claims import claim, claimed, proposal_of
from discover.store.leases.heartbeat import beating
from discover.store.leases.leases import check, locked, release, renew
from discover.store.log.events import Draft
from discover.store.log.log import EventLog

IDS = [f"abc-{number}" for number in range(200)]


@pytest.fixture
def log(store_url):
    log = EventLog(store_url)
    log.create("c", "abc", Draft("noted", {"text": ""}))
    return log


def ids(leases):
    return [proposal_of(lease) for lease in leases]


def test_claims_come_in_order_and_once(log):
    assert ids(claim(log, "c", IDS, 3)) == IDS[:3]
    assert ids(claim(log, "c", IDS, 2, worker="another")) == IDS[3:5]
    assert claim(log, "c", IDS[:5], 9) == []
    assert ids(claim(log, "c", [IDS[0], IDS[9], IDS[9]], 9)) == [IDS[9]]
    assert claim(log, "c", IDS, 0) == []
    held = claimed(log, "c")
    assert sorted(held) == sorted([*IDS[:5], IDS[9]])
    assert held[IDS[3]].holder.startswith("another@")


def test_a_row_that_another_holds_locked_is_passed_over_for_the_next(log, monkeypatch):
    claim(log, "c", IDS, 3)  # their rows are there, as after any earlier claim
    release(log, *claimed(log, "c").values())

    def all_but_the_first(connection, campaign, names, *, wait):
        return {name: row for name, row in locked(connection, campaign, names, wait=wait).items() if IDS[0] != name[9:]}

    monkeypatch.setattr("discover.store.leases.claims.locked", all_but_the_first)
    assert ids(claim(log, "c", IDS, 3)) == IDS[1:4]


def test_what_is_released_can_be_claimed_again_with_a_greater_token(log):
    mine = claim(log, "c", IDS, 3)
    release(log, *mine[:2])
    assert list(claimed(log, "c")) == [IDS[2]]
    again = claim(log, "c", IDS, 3)
    assert [(proposal_of(lease), lease.token) for lease in again] == [(IDS[0], 2), (IDS[1], 2), (IDS[3], 1)]
    release(log, *mine)  # those that are somebody else's by now are left to them
    assert sorted(claimed(log, "c")) == sorted([IDS[0], IDS[1], IDS[3]])


def test_a_silent_worker_is_succeeded_and_fenced(log):
    slow = claim(log, "c", IDS, 2, worker="slow", seconds=0.2)
    time.sleep(0.3)
    assert claimed(log, "c") == {}
    quick = claim(log, "c", IDS, 1, worker="quick")
    assert ids(quick) == [IDS[0]]
    assert [lease.name for lease in renew(log, slow)] == [f"proposal {IDS[0]}"]

    def tell(lease):
        log.transact("c", 0, lambda _: [Draft("noted", {"text": lease.holder})], lambda again: check(again, lease))

    with pytest.raises(LeaseLost):
        tell(slow[0])
    tell(slow[1])
    tell(quick[0])
    assert [e.payload["text"].partition("@")[0] for e in log.read("c")[1:]] == ["slow", "quick"]


def test_a_heartbeat_keeps_many_and_lets_go_of_what_is_done(log):
    mine = claim(log, "c", IDS, 4, seconds=0.6)
    with beating(log, mine, 0.6) as beat:
        beat.drop(mine[0])
        time.sleep(1.3)
        assert sorted(claimed(log, "c")) == sorted(ids(mine[1:]))
        assert not beat.lost


def test_campaigns_do_not_share_claims(log):
    log.create("d", "def", Draft("noted", {"text": ""}))
    assert len(claim(log, "c", IDS, 5)) == len(claim(log, "d", IDS, 5)) == 5
    assert len(claimed(log, "d")) == 5


def _claim_all(url, worker, everybody, told):
    log = EventLog(url)
    everybody.wait()
    mine = ids(claim(log, "c", IDS, 3, worker=worker))
    everybody.wait()  # on a busy machine one could take all before the others have begun
    while some := claim(log, "c", IDS, 3, worker=worker):
        mine += ids(some)
    told.put(mine)
    everybody.wait()  # who ends early is gone, and its claims are free


def test_eight_processes_claim_two_hundred_proposals_once_each(log):
    context = multiprocessing.get_context("fork")
    everybody, told = context.Barrier(9), context.Queue()
    arguments = [(log.database._secret_url, f"w{k}", everybody, told) for k in range(8)]
    workers = [context.Process(target=_claim_all, args=some) for some in arguments]
    for worker in workers:
        worker.start()
    for _ in ("begin", "go on"):
        everybody.wait(60)
    got = [told.get(timeout=60) for _ in workers]
    assert sorted(claimed(log, "c")) == sorted(IDS)
    everybody.wait(60)
    for worker in workers:
        worker.join()
    assert Counter(pid for some in got for pid in some) == Counter(IDS)
    assert all(got)
    assert claimed(log, "c") == {}  # their processes are gone
    assert len(claim(log, "c", IDS, 200)) == 200


def test_the_claims_of_a_killed_worker_are_given_out_at_once(log):
    script = """
import os, signal, sys
from discover.store.log.log import EventLog
from discover.store.leases.claims import claim
claim(EventLog(sys.argv[1]), "c", ["abc-0", "abc-1"], 2, seconds=1e9)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script, log.database._secret_url], check=False)
    assert [lease.token for lease in claim(log, "c", IDS, 3)] == [2, 2, 1]


def test_claimers_who_make_rows_in_any_order_never_wait_crosswise(postgres_url):
    """PostgreSQL ends one of two transactions that wait for each other; a claimer in a chunk of its own order would."""
    log = EventLog(postgres_url)
    log.create("c", "uid", Draft("noted", {"text": ""}))
    errors: list[str] = []

    def work(number):
        mine, order = EventLog(postgres_url), random.Random(number)
        try:
            for start in range(60):
                names = [f"p{start // 3}-{place}" for place in range(8)]
                order.shuffle(names)
                release(mine, *claim(mine, "c", names, order.randint(1, 7), worker=str(number)))
        except StoreError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
