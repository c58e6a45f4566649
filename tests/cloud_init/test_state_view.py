"""The view of the state that people reach: the kernel itself follows none of the gateway's links there."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_init.state_view import STATE, VIEW, main, show_state
from tests.support.mounts import Mounts, mount_table, needs_mounts

pytestmark = needs_mounts


@pytest.fixture
def places(tmp_path: Path) -> Iterator[tuple[Path, Path, Path]]:
    """The real folder around the state, the view, and the path that people type."""
    state, view, typed = tmp_path / "state", tmp_path / "view", tmp_path / ".openclaw"
    (state / ".openclaw").mkdir(parents=True)
    view.mkdir()
    typed.symlink_to("view/.openclaw")
    (tmp_path / "etc").mkdir()
    yield state, view, typed
    mounts = Mounts()
    mounts.mounted = {Path(point): tmp_path for point in mount_points() if Path(point).is_relative_to(tmp_path)}
    mounts.undo()


def mount_points() -> list[str]:
    return [line.split(" ")[4] for line in mount_table()]


def test_what_root_types_ends_at_a_planted_link(places: tuple[Path, Path, Path], tmp_path: Path) -> None:
    state, view, typed = places
    show_state(*places)
    (state / ".openclaw/.openclaw").symlink_to(tmp_path / "etc")
    (state / ".openclaw/config").symlink_to(tmp_path / "etc/passwd")
    for planted in (typed / ".openclaw/cron", typed / "config"):
        with pytest.raises(OSError, match="symbolic links") as refused:
            planted.write_text("evil")
        assert refused.value.errno == errno.ELOOP
    assert list((tmp_path / "etc").iterdir()) == []
    # The container's own mount is another one, and follows what it likes.
    (state / ".openclaw/config").write_text("of the gateway")
    assert (tmp_path / "etc/passwd").read_text() == "of the gateway"
    (typed / "plain").write_text("typed")
    assert (state / ".openclaw/plain").read_text() == "typed"
    (typed / ".openclaw").unlink()
    rows = [line.split(" ") for line in mount_table()]
    options = next(row[5] for row in rows if row[4] == str(view))
    assert {"nosuid", "nodev"} <= set(options.split(","))


def test_a_swap_of_the_state_is_seen_in_the_view_at_once(places: tuple[Path, Path, Path]) -> None:
    state, _view, typed = places
    show_state(*places)
    (state / ".openclaw").rename(state / ".openclaw.before")
    (state / ".openclaw").mkdir()
    (state / ".openclaw/new").touch()
    assert [row.name for row in typed.iterdir()] == ["new"]


def test_it_may_run_again(places: tuple[Path, Path, Path]) -> None:
    show_state(*places)
    show_state(*places)
    assert mount_points().count(str(places[1])) == 1


@pytest.mark.parametrize("where", ["typed", "inside"])
def test_a_volume_of_its_own_is_the_state_too_and_shown_without_following_links(
    places: tuple[Path, Path, Path], tmp_path: Path, where: str
) -> None:
    state, _view, typed = places
    if where == "typed":
        typed.unlink()
        typed.mkdir()
        Mounts().mount("tmpfs", tmp_path, typed)
    else:
        Mounts().mount("tmpfs", tmp_path, state / ".openclaw")
    show_state(*places)
    (state / ".openclaw/config").symlink_to(tmp_path / "etc/passwd")
    with pytest.raises(OSError, match="symbolic links") as refused:
        (typed / "config").write_text("evil")
    assert refused.value.errno == errno.ELOOP
    assert list((tmp_path / "etc").iterdir()) == []


def test_what_cannot_be_mounted_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    if not STATE.exists():
        assert main() == 1
        told = capsys.readouterr().err
        assert told.startswith(f"{STATE} cannot be shown at {VIEW}")
        assert told.count("\n") == 1
