import pytest

from openclaw_agent.store.cost import REQUEST_PRICES, changed_backup_cost, request_cost


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
