import pytest

from operator_tools.account.errors import ExitCode
from operator_tools.prices.price_errors import WrongRequest
from operator_tools.prices.requested import check_offered, parse_days, parse_instance_types

OFFERED = {"t4g.small", "t4g.medium", "t3.small", "m5.large", "u-6tb1.112xlarge"}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["t4g.small"], ("t4g.small",)),
        (["t4g.small", "t4g.medium", "t4g.small"], ("t4g.small", "t4g.medium")),
        (["t4g.small,t4g.medium", " m5.large "], ("t4g.small", "t4g.medium", "m5.large")),
        (
            ["u-6tb1.112xlarge", "c7i-flex.large", "m7i.metal-24xl"],
            ("u-6tb1.112xlarge", "c7i-flex.large", "m7i.metal-24xl"),
        ),
    ],
    ids=["one", "each once", "commas", "odd names"],
)
def test_instance_types_are_taken_in_order_and_once(words: list[str], names: tuple[str, ...]) -> None:
    assert parse_instance_types(words) == names


@pytest.mark.parametrize("words", [[], [""], [" , "]], ids=["none", "empty", "separators"])
def test_no_instance_type_is_refused(words: list[str]) -> None:
    with pytest.raises(WrongRequest, match="No instance type was given; name at least one"):
        parse_instance_types(words)


@pytest.mark.parametrize("word", ["t4g", "t4g.", ".small", "T4G.small", "t4g.*", "t4g.small;ls", "t4g/small"])
def test_a_malformed_instance_type_is_refused(word: str) -> None:
    with pytest.raises(WrongRequest) as refused:
        parse_instance_types(["t4g.small", word])
    assert str(refused.value) == f"{word!r} is no instance type; allowed is <family>.<size>, such as t4g.small."
    assert refused.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(("text", "days"), [("1", 1), ("7", 7), ("90", 90)])
def test_days_are_as_many_as_ec2_keeps(text: str, days: int) -> None:
    assert parse_days(text) == days


@pytest.mark.parametrize("text", ["0", "91", "-1", "7.5", "week", "", "\u0667", "99999999999"])
def test_other_days_are_refused(text: str) -> None:
    with pytest.raises(WrongRequest, match="is no number of days; allowed is 1 to 90"):
        parse_days(text)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            ["t4g.smal"],
            "me-central-1 offers no instance type t4g.smal; did you mean t4g.small or t3.small.",
        ),
        (["zzz.qqq"], "me-central-1 offers no instance type zzz.qqq."),
        (
            ["t4g.small", "m5.larg", "zzz.qqq"],
            "me-central-1 offers no instance types m5.larg or zzz.qqq; did you mean m5.large.",
        ),
    ],
    ids=["close ones", "nothing close", "two"],
)
def test_unknown_instance_types_are_named_with_close_ones(names: list[str], sentence: str) -> None:
    with pytest.raises(WrongRequest) as refused:
        check_offered(names, OFFERED, "me-central-1")
    assert str(refused.value) == sentence


def test_offered_instance_types_pass() -> None:
    check_offered(["t4g.small", "m5.large"], OFFERED, "me-central-1")
