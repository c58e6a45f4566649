"""The bucket's client: listings of many pages, objects without a byte, refused deletions, bodies that break off."""

import pytest

from openclaw_agent.errors import CorruptObject, StoreError
from openclaw_agent.store.transfers import MIB
from tests.support.breaking import answered
from tests.support.simulated_instance import FreshBucket

MORE_THAN_A_PAGE = 1003
ATTEMPTS = 3


def test_a_listing_goes_on_over_its_pages(world: FreshBucket) -> None:
    names = [f"{number:04d}" for number in range(MORE_THAN_A_PAGE)]
    world.put_all({f"many/{name}/x": "" for name in names})
    store = world.store()
    assert [row.key for row in store.list("many/")] == [f"many/{name}/x" for name in names]
    assert list(store.list_folders("many/")) == names
    assert store.traffic.requests["LIST"] == 4
    assert [row.key for row in store.list("many/", most=1001)][-1] == "many/1000/x"
    assert store.traffic.requests["LIST"] == 6
    assert [row.key for row in store.list("many/", start_after="many/1001/x")] == ["many/1002/x"]


def test_an_object_without_a_byte_has_no_first_line(world: FreshBucket) -> None:
    world.put("empty", "")
    assert world.store().get_first_line("empty") is None


def test_what_s3_refuses_to_delete_is_told_by_key(world: FreshBucket) -> None:
    refused = (
        b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error><Error><Key>b</Key></Error></DeleteResult>"
    )
    store = world.store()
    with answered(({}, refused)) as methods:
        assert store.delete(["a", "b", "c"]) == {"a": "AccessDenied", "b": "unknown error"}
    assert methods == ["POST"]


@pytest.mark.parametrize(("whole_at", "answer"), [(ATTEMPTS, b"text"), (ATTEMPTS + 1, None)])
def test_a_body_that_breaks_off_is_asked_for_again_and_in_the_end_told(
    world: FreshBucket, whole_at: int, answer: bytes | None
) -> None:
    store = world.store(attempts=ATTEMPTS)
    head = {"ETag": '"e"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "Content-Length": "4"}
    bodies = [b"text" if number >= whole_at else b"t" for number in range(1, ATTEMPTS + 1)]
    with answered(*((head, body) for body in bodies)) as methods:
        if answer is None:
            with pytest.raises(StoreError, match="nothing is lost, the next run tries again"):
                store.get("key", most_bytes=MIB)
        else:
            found = store.get("key", most_bytes=MIB)
            assert found is not None
            assert found.body == answer
    assert methods == ["GET"] * ATTEMPTS


@pytest.mark.parametrize("told", [True, False])
def test_of_an_object_that_is_larger_than_one_of_ours_no_more_is_read(world: FreshBucket, told: bool) -> None:
    head = {"ETag": '"e"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    with (
        answered((head | ({"Content-Length": "11"} if told else {}), b"12345678901")),
        pytest.raises(CorruptObject, match="it has 11 bytes, more than the 10 that are read of such a one"),
    ):
        world.store().get("key", most_bytes=10)
