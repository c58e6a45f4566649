"""What differs between two snapshots is told path by path, and adds up."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from openclaw_agent.history.changes import Kind, changes_between, totals
from openclaw_agent.history.pages import change_lines
from openclaw_agent.history.tables import Table, size_words
from tests.support.entries import file, folder, manifest, symlink


def test_each_kind_of_change_has_its_line() -> None:
    before = manifest(
        [folder(), folder("a"), file("a/kept"), file("a/gone", b"12345"), file("a/grown", b"1"), symlink("l", "x")]
    )
    after = manifest(
        [folder(), folder("a"), file("a/kept"), file("a/grown", b"123"), file("new", b"12"), symlink("l", "y")]
    )

    changes = changes_between(before, after)

    assert change_lines(changes, 10) == [
        "  - a/gone  (5 B)",
        "  ~ a/grown  (1 B becomes 3 B)",
        "  ~ l  (target)",
        "  + new  (2 B)",
        "1 added, 1 removed, 2 changed; 1 B less.",
    ]
    assert (totals(changes).added, totals(changes).removed, totals(changes).changed) == (1, 1, 2)


def test_a_folder_is_told_only_where_nothing_in_it_tells_of_it() -> None:
    before = manifest([folder()])
    after = manifest([folder(), folder("empty"), folder("full"), folder("full/deep"), file("full/deep/file")])

    assert [row.path for row in changes_between(before, after)] == ["empty", "full/deep/file"]


def test_times_alone_are_no_difference_and_modes_are() -> None:
    first = file("a")
    assert changes_between(manifest([first]), manifest([replace(first, mtime_ns=5)])) == []
    (change,) = changes_between(manifest([first]), manifest([replace(first, mode=0o644)]))
    assert change.respects == ("mode 0600 becomes 0644",)


def test_many_changes_are_cut_and_counted() -> None:
    after = manifest([folder(), *(file(f"f{number:03}") for number in range(50))])

    lines = change_lines(changes_between(manifest([folder()]), after), 3)

    assert lines[3:] == ["  … and 47 more", "50 added, 0 removed, 0 changed; 200 B more."]


TREES = st.dictionaries(st.sampled_from("abcdef"), st.binary(max_size=3), max_size=6)


@given(TREES, TREES)
def test_the_way_back_undoes_the_way_there(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    before = manifest([folder(), *(file(path, body) for path, body in one.items())])
    after = manifest([folder(), *(file(path, body) for path, body in other.items())])
    there, back = changes_between(before, after), changes_between(after, before)

    assert {row.path for row in there} == {
        path for path in one.keys() | other.keys() if one.get(path) != other.get(path)
    }
    opposite = {Kind.ADDED: Kind.REMOVED, Kind.REMOVED: Kind.ADDED, Kind.CHANGED: Kind.CHANGED}
    assert [(opposite[row.kind], row.path) for row in there] == [(row.kind, row.path) for row in back]
    assert totals(there).bytes == -totals(back).bytes


def test_a_table_is_two_spaces_apart_with_its_numbers_to_the_right() -> None:
    table = Table(("name", "size", "note"), (("a", "5", ""), ("longer", "10", "x")), frozenset({"size"}))
    assert table.plain().splitlines() == ["name    size  note", "a          5", "longer    10  x"]


def test_sizes_are_read_as_people_read_them() -> None:
    assert [size_words(size) for size in (None, 0, 1023, 1024, 1536, 5 * 1024**2, -(2 * 1024**3), 3 * 1024**4)] == [
        *("-", "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "-2.0 GiB", "3.0 TiB")
    ]
