import pytest

from openclaw_agent.cli import progress
from openclaw_agent.cli.progress import MIB, Progress


def fetched(*sizes: int, shown: bool, problem: Exception | None = None) -> None:
    with Progress(shown=shown) as told:
        for size in sizes:
            told.add(size)
        if problem is not None:
            raise problem


@pytest.mark.parametrize(
    ("redraw_seconds", "drawn"),
    [
        (0.0, ["\r1 files, 1.0 MiB", "\r2 files, 1,501.0 MiB", "\r2 files, 1,501.0 MiB\n"]),
        (1e9, []),
    ],
    ids=["every file", "over before the first drawing"],
)
def test_a_terminal_shows_one_line_that_ends_with_all_that_was_fetched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], redraw_seconds: float, drawn: list[str]
) -> None:
    monkeypatch.setattr(progress, "REDRAW_SECONDS", redraw_seconds)
    fetched(MIB, 1_500 * MIB, shown=True)
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "".join(drawn))


def test_nothing_is_drawn_where_nobody_looks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "REDRAW_SECONDS", 0.0)
    fetched(MIB, shown=False)
    assert "".join(capsys.readouterr()) == ""


def test_a_restore_that_fails_leaves_the_cursor_below_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence that says why comes next."""
    monkeypatch.setattr(progress, "REDRAW_SECONDS", 0.0)
    with pytest.raises(ValueError, match="why"):
        fetched(0, shown=True, problem=ValueError("why"))
    assert capsys.readouterr().err.endswith("\r1 files, 0.0 MiB\n")
