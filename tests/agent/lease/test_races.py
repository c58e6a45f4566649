"""Processes that race to own one bucket: exactly one wins each round."""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

import pytest

from lab.host.deadline import scaled
from openclaw_agent.lease.claim import acquire, read_lease, release
from openclaw_agent.lease.record import Liveness
from tests.support.breaking import at_request
from tests.support.simulated_instance import FreshBucket

# The whole claim at full size: OPENCLAW_RACE_ROUNDS=1000.
ROUNDS = int(os.environ.get("OPENCLAW_RACE_ROUNDS", "20"))
RACERS = 4


class Lost(Exception):
    """Another racer of this round holds the bucket."""


def owner_is_gone_unless_of(round_number: int) -> Callable[[str], Liveness]:
    def look_up(instance_id: str) -> Liveness:
        if instance_id.startswith(f"{round_number}:"):
            raise Lost
        return Liveness.GONE

    return look_up


def race(world: FreshBucket, racer: int, barrier: Barrier, result: Connection) -> None:
    """Take part in every round; send the epochs that were won, None for a round that was lost."""
    store = world.store()
    won: list[int | None] = []
    for number in range(ROUNDS):
        me = f"{number}:{racer}"
        barrier.wait(scaled(60))
        try:
            owner = acquire(store, me, owner_is_gone_unless_of(number))
        except Lost:
            won.append(None)
        else:
            won.append(owner.epoch)
        barrier.wait(scaled(60))
        if won[-1] is not None and number % 3 == 0:
            assert release(store, won[-1], me)
    result.send(won)


def test_of_many_racers_exactly_one_owns_each_round(world: FreshBucket) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(RACERS)
    children, results = [], []
    for racer in range(RACERS):
        receiving, sending = context.Pipe(duplex=False)
        child = context.Process(target=race, args=(world, racer, barrier, sending), daemon=True)
        child.start()
        children.append(child)
        results.append(receiving)
    won = []
    for receiving in results:
        assert receiving.poll(scaled(30 + ROUNDS)), "a racer hangs"
        won.append(receiving.recv())
    for child in children:
        child.join(scaled(10))
    for number in range(ROUNDS):
        epochs = [mine[number] for mine in won if mine[number] is not None]
        assert epochs == [number + 1], f"round {number} was won by {len(epochs)} racers: {epochs}"
    last = read_lease(world.store())
    assert last is not None
    assert last.record.epoch == ROUNDS
    winners = [sum(epoch is not None for epoch in mine) for mine in won]
    print(f"\ncovered: ownership, {ROUNDS} rounds of {RACERS} racers, one owner each; won {winners}")


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was logged, a sentence each."""
    caplog.set_level("INFO", "openclaw_agent.lease")
    return lambda: caplog.messages


def alive(_instance_id: str) -> Liveness:
    return Liveness.ALIVE


def gone(_instance_id: str) -> Liveness:
    return Liveness.GONE


def test_a_racer_waits_for_the_winner_as_long_as_it_may(world: FreshBucket, said: Callable[[], list[str]]) -> None:
    acquire(world.store(), "winner", gone)
    owner = acquire(world.store(), "late", alive, wait_limit=1, poll=0.05)
    assert owner.epoch == 2
    assert sum("Waiting: winner still runs" in sentence for sentence in said()) >= 2
    assert "has not released the bucket in 1 s" in said()[-1]


def test_a_winner_that_releases_while_others_wait_is_followed_at_once(
    world: FreshBucket, said: Callable[[], list[str]]
) -> None:
    first = acquire(world.store(), "winner", gone)
    with at_request("GET owner.json", lambda: release(world.store(), first.epoch, "winner"), nth=2):
        acquire(world.store(), "late", alive, wait_limit=60, poll=0.01)
    assert "winner released the bucket" in said()[-1]


def test_the_wait_begins_anew_with_every_new_owner(world: FreshBucket, said: Callable[[], list[str]]) -> None:
    acquire(world.store(), "one", gone)
    with at_request("GET owner.json", lambda: acquire(world.store(), "two", gone), nth=3):
        owner = acquire(world.store(), "late", alive, wait_limit=1, poll=0.05)
    assert owner.epoch == 3
    assert sum("Waiting: two" in sentence for sentence in said()) >= 4


@pytest.mark.parametrize(("epoch", "me"), [(1, "other"), (2, "one"), (0, "one")])
def test_only_the_current_owner_can_let_go(world: FreshBucket, epoch: int, me: str) -> None:
    acquire(world.store(), "one", gone)
    assert not release(world.store(), epoch, me)
    current = read_lease(world.store())
    assert current is not None
    assert not current.record.released


def test_a_release_that_races_with_a_take_over_changes_nothing(world: FreshBucket) -> None:
    one = acquire(world.store(), "one", gone)
    with at_request("PUT owner.json", lambda: acquire(world.store(), "two", gone)):
        assert not release(world.store(), one.epoch, "one")
    assert world.owner()["instance_id"] == "two"
    assert not world.owner()["released"]


def test_nobody_can_let_a_bucket_go_that_nobody_owns(world: FreshBucket) -> None:
    assert not release(world.store(), 1, "one")
