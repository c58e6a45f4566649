"""The bucket's client: listings of many pages, objects without a byte, and deletions that S3 refuses."""

from unittest import mock

from tests.moto.agent_world import World

MORE_THAN_A_PAGE = 1003


def test_a_listing_goes_on_over_its_pages(world: World) -> None:
    names = [f"{number:04d}" for number in range(MORE_THAN_A_PAGE)]
    for name in names:
        world.put(f"many/{name}/x", "")
    store = world.store()
    assert [row.key for row in store.list("many/")] == [f"many/{name}/x" for name in names]
    assert list(store.list_folders("many/")) == names
    assert store.traffic.requests["LIST"] == 4
    assert [row.key for row in store.list("many/", most=1001)][-1] == "many/1000/x"
    assert store.traffic.requests["LIST"] == 6
    assert [row.key for row in store.list("many/", start_after="many/1001/x")] == ["many/1002/x"]


def test_an_object_without_a_byte_has_no_first_line(world: World) -> None:
    world.put("empty", "")
    assert world.store().get_first_line("empty") is None


def test_what_s3_refuses_to_delete_is_told_by_key(world: World) -> None:
    store = world.store()
    answer = {"Errors": [{"Key": "a", "Code": "AccessDenied"}, {"Key": "b"}]}
    with mock.patch.object(store._s3, "delete_objects", return_value=answer):
        assert store.delete(["a", "b", "c"]) == {"a": "AccessDenied", "b": "unknown error"}
