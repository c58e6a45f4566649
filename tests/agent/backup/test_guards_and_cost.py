import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_agent.backup.shrink_guard import shrink_refusal
from openclaw_agent.exit_codes import EXIT_CODE_MEANINGS, ExitCode
from openclaw_agent.store.cost import REQUEST_PRICES, changed_backup_cost, request_cost


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


@pytest.mark.parametrize(
    ("requests", "dollars"),
    [
        ({}, 0.0),
        ({"PUT": 1000}, 0.005),
        ({"COPY": 1000, "LIST": 1000}, 0.01),
        ({"GET": 1000, "HEAD": 1000}, 0.0008),
        ({"DELETE": 10**9}, 0.0),
    ],
)
def test_what_requests_cost(requests: dict[str, int], dollars: float) -> None:
    assert request_cost(requests) == pytest.approx(dollars)


def test_an_idle_month_costs_less_than_one_cent() -> None:
    cycles = 30 * 24 * 3
    assert request_cost({"GET": cycles, "HEAD": cycles}) < 0.01


@pytest.mark.parametrize(
    ("files", "changed", "dollars"), [(0, 0, 0.00003), (1000, 0, 0.00503), (1000, 100, 0.00553), (100_000, 1, 0.500035)]
)
def test_what_a_changed_backup_costs_at_most(files: int, changed: int, dollars: float) -> None:
    assert changed_backup_cost(files, changed) == pytest.approx(dollars)


def test_every_kind_of_request_has_a_price() -> None:
    assert set(REQUEST_PRICES) == {"PUT", "COPY", "LIST", "GET", "HEAD", "DELETE"}


def test_the_exit_codes_are_those_of_the_design() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "REFUSED": 3,
        "GAPS": 4,
        "NOT_OWNER": 75,
        "TERMINATED": 143,
    }
    assert set(EXIT_CODE_MEANINGS) == set(ExitCode)
