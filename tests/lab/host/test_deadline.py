import os
from collections.abc import Iterator

import pytest

from lab.host.deadline import Deadline, scaled

CORES = os.cpu_count() or 1


@pytest.mark.parametrize(
    ("load_of_a_core", "seconds"), [(0.0, 60.0), (1.0, 60.0), (4.0, 240.0), (10.0, 600.0), (500.0, 600.0)]
)
def test_a_deadline_grows_with_the_load_of_a_core_and_at_most_tenfold(load_of_a_core: float, seconds: float) -> None:
    assert scaled(60, lambda: load_of_a_core * CORES) == pytest.approx(seconds)


def test_a_deadline_is_never_passed_before_its_time() -> None:
    moments: Iterator[float] = iter([5.0, 64.9, 5.0 + 60 * 10])
    deadline = Deadline(60, clock=lambda: next(moments))

    assert not deadline.passed()
    assert deadline.passed()
