import pytest

from operator_tools.account.errors import ExitCode, WrongRegion
from operator_tools.account.regions import check_region


@pytest.mark.parametrize(
    ("region", "sentence"),
    [
        ("me-centrall-1", "There is no region 'me-centrall-1'; did you mean me-central-1."),
        ("eu-west-9", "There is no region 'eu-west-9'; did you mean eu-west-2 or eu-west-1."),
        ("", "There is no region ''."),
    ],
    ids=["one is close", "two are close", "none is close"],
)
def test_an_unknown_region_is_named_with_close_ones(region: str, sentence: str) -> None:
    with pytest.raises(WrongRegion) as refused:
        check_region(region, {"me-central-1", "ap-south-1", "eu-west-1", "eu-west-2"})
    assert str(refused.value) == sentence
    assert refused.value.exit_code is ExitCode.USAGE


def test_a_known_region_passes() -> None:
    check_region("me-central-1", {"me-central-1"})
