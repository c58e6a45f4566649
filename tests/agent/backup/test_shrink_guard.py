import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_agent.backup.shrink_guard import shrink_refusal


@pytest.mark.parametrize(
    ("now", "before", "refusal"),
    [
        (0, None, None),
        (0, 0, None),
        (5, 0, None),
        (0, 1, "the state folder is empty, the last backup held 1 files"),
        (0, 1000, "the state folder is empty, the last backup held 1000 files"),
        (1, 3, None),
        (2, 4, "the state folder holds 2 files, the last backup held 4"),
        (3, 4, None),
        (500, 1000, "the state folder holds 500 files, the last backup held 1000"),
        (501, 1000, None),
        (2000, 1000, None),
    ],
)
def test_the_shrink_guard(now: int, before: int | None, refusal: str | None) -> None:
    assert shrink_refusal(now, before) == refusal


@given(st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_state_that_has_not_lost_half_its_files_is_never_refused(before: int, now: int) -> None:
    if now * 2 > before:
        assert shrink_refusal(now, before) is None
