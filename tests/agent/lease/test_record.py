import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_agent.errors import LeaseInvalid
from openclaw_agent.lease.record import Lease, Liveness, Step, next_step, successor
from openclaw_agent.snapshot.head_codec import INSTANCE_ID

HELD = Lease(7, "i-other", "2026-03-04T08:00:00+00:00", released=False)
RELEASED = HELD.released_record()


@pytest.mark.parametrize(
    ("current", "me", "liveness", "waited", "step", "because"),
    [
        (None, "i-me", Liveness.GONE, 0, Step.CLAIM, "the bucket has no owner"),
        (HELD, "i-other", Liveness.ALIVE, 0, Step.CLAIM, "this instance was the last owner"),
        (RELEASED, "i-me", Liveness.ALIVE, 0, Step.CLAIM, "i-other released the bucket"),
        (HELD, "i-me", Liveness.GONE, 0, Step.CLAIM, "i-other is gone"),
        (HELD, "i-me", Liveness.ALIVE, 0, Step.WAIT, "i-other still runs or is shutting down"),
        (HELD, "i-me", Liveness.UNKNOWN, 299.9, Step.WAIT, "i-other cannot be looked up"),
        (HELD, "i-me", Liveness.ALIVE, 300, Step.CLAIM, "has not released the bucket in 300 s"),
        (HELD, "i-me", Liveness.UNKNOWN, 300, Step.CLAIM, "cannot be looked up, but has not released"),
    ],
    ids=["no owner", "own", "released", "gone", "alive", "unknown", "alive too long", "unknown too long"],
)
def test_the_next_step(
    current: Lease | None, me: str, liveness: Liveness, waited: float, step: Step, because: str
) -> None:
    decision = next_step(current, me, liveness, waited, 300)
    assert decision.step is step
    assert because in decision.because


@given(
    st.none() | st.builds(Lease, st.integers(1, 99), st.sampled_from(["a", "b"]), st.just(""), st.booleans()),
    st.sampled_from(Liveness),
    st.floats(0, 1000),
)
def test_only_a_living_or_unknown_foreign_owner_is_waited_for_and_never_longer_than_the_limit(
    current: Lease | None, liveness: Liveness, waited: float
) -> None:
    decision = next_step(current, "a", liveness, waited, 300)
    must_wait = (
        current is not None
        and current.instance_id != "a"
        and not current.released
        and liveness is not Liveness.GONE
        and waited < 300
    )
    assert (decision.step is Step.WAIT) is must_wait


def test_a_successor_has_the_next_epoch_and_holds_on() -> None:
    assert successor(None, "i-me", "now") == Lease(1, "i-me", "now", released=False)
    assert successor(RELEASED, "i-me", "now") == Lease(8, "i-me", "now", released=False)


def test_a_successor_knows_whom_it_preempted_until_another_instance_succeeds_it() -> None:
    preempting = successor(HELD, "i-me", "now")
    assert preempting.preempted == HELD.instance_id
    assert successor(preempting, "i-me", "later").preempted == HELD.instance_id
    assert successor(preempting.released_record(), "i-next", "later").preempted == ""


def test_a_successor_outranks_manifests_that_came_from_elsewhere() -> None:
    assert successor(HELD, "i-me", "now", least_epoch=50).epoch == 50
    assert successor(HELD, "i-me", "now", least_epoch=3).epoch == HELD.epoch + 1
    assert successor(None, "i-me", "now", least_epoch=6).epoch == 6


INSTANCES = st.from_regex(INSTANCE_ID, fullmatch=True)


@given(
    st.builds(
        Lease,
        st.integers(1, 2**63 - 1),
        INSTANCES,
        st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
        st.booleans(),
        INSTANCES | st.just(""),
    )
)
def test_a_record_survives_the_round_trip(record: Lease) -> None:
    assert Lease.decode(record.encode()) == record


def test_an_epoch_that_leaves_none_after_it_is_refused_with_what_to_do() -> None:
    last = replace(RELEASED, epoch=2**63 - 1)
    with pytest.raises(LeaseInvalid, match=r"No epoch comes after 9223372036854775807, .*make undelete"):
        successor(last, "i-me", "now")


def test_the_record_of_0_1_0_names_the_preempted_instance_otherwise() -> None:
    record = replace(HELD, preempted="i-before")
    fields = json.loads(record.encode())
    assert "displaced" not in fields
    fields["displaced"] = fields.pop("preempted")
    assert Lease.decode(json.dumps(fields).encode()) == record


GOOD = json.loads(HELD.encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"<Error/>",
        *(
            json.dumps({**GOOD, name: value}).encode()
            for name, value in [
                ("epoch", "7"),
                ("epoch", True),
                ("epoch", 0),
                ("epoch", 1.0),
                ("epoch", 2**63),
                ("epoch", 10**4299),
                ("instance_id", ""),
                ("instance_id", "i-\x1b]0;owned\x07"),
                ("instance_id", "\ud800"),
                ("instance_id", "i" * 300),
                ("instance_id", None),
                ("preempted", 1),
                ("since", "\u202e"),
                ("released", 1),
            ]
        ),
        b'{"epoch": ' + b"9" * 5000 + b"}",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"epoch": 1, "epoch": 1}' + b" " * 100,
        HELD.encode().replace(b'"epoch": 7', b'"epoch": 7, "epoch": 7'),
        HELD.encode() + b" " * 2**16,
        json.dumps({**GOOD, "released": "no"}).encode(),
        json.dumps({key: GOOD[key] for key in GOOD if key != "released"}).encode(),
        HELD.encode()[:20],
    ],
)
def test_what_is_no_owner_record_is_an_error_and_never_no_owner(text: bytes) -> None:
    with pytest.raises(LeaseInvalid, match=r"owner\.json in the bucket is no owner record"):
        Lease.decode(text)


@pytest.mark.parametrize(
    ("epoch", "instance", "current"),
    [(7, "i-other", True), (6, "i-other", False), (8, "i-other", False), (7, "i-me", False)],
)
def test_the_current_owner_is_the_one_of_that_epoch_and_name(epoch: int, instance: str, current: bool) -> None:
    assert HELD.is_current(epoch, instance) is current
