import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from operator_tools.account.errors import ExitCode
from operator_tools.prices.command import main
from operator_tools.prices.price_series import PriceChange
from tests.operator_tools.ec2_stand_in import NAMESPACE, Refusal, StandIn, numbered, refusal, serving
from tests.operator_tools.price_histories import NOW, SIZES, week_of_changes

ASK = ["--region", "me-central-1", "t4g.small", "t4g.medium"]


def a_week_until_now() -> list[PriceChange]:
    late = datetime.now(UTC).replace(microsecond=0) - NOW
    return [PriceChange(item.instance_type, item.zone, item.at + late, item.price) for item in week_of_changes()]


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with serving(StandIn(sizes=list(SIZES.values()), changes=a_week_until_now(), page_size=20)) as stand_in:
        monkeypatch.setenv("AWS_ENDPOINT_URL", stand_in.endpoint_url)
        yield stand_in


def test_a_history_of_many_pages_becomes_one_table(ec2: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(ASK) == ExitCode.DONE
    shown = capsys.readouterr()
    rows = [line.split() for line in shown.out.splitlines() if line.startswith("t4g.")]
    assert [row[:6] for row in rows] == [
        ["t4g.small", "me-central-1b", "2", "2", "0.0060", "4.38"],
        ["t4g.small", "me-central-1a", "2", "2", "0.0063", "4.60"],
        ["t4g.medium", "me-central-1a", "2", "4", "0.0118", "8.61"],
        ["t4g.medium", "me-central-1c", "2", "4", "0.0119", "8.69"],
        ["t4g.medium", "me-central-1b", "2", "4", "0.0131", "9.56"],
    ]
    assert shown.err == ""
    asked = ec2.asked("DescribeSpotPriceHistory")
    assert len(asked) == 6
    assert [request.get("NextToken") for request in asked] == [None, "20", "40", "60", "80", "100"]


def test_ec2_is_asked_for_the_window_the_types_and_linux_alone(ec2: StandIn) -> None:
    assert main([*ASK, "--days", "30"]) == ExitCode.DONE
    (first, *_) = ec2.asked("DescribeSpotPriceHistory")
    start, end = (datetime.fromisoformat(first[key]) for key in ("StartTime", "EndTime"))
    assert end - start == timedelta(days=30)
    assert abs(end - datetime.now(UTC)) < timedelta(minutes=1)
    assert numbered(first, "InstanceType") == ["t4g.small", "t4g.medium"]
    assert numbered(first, "ProductDescription") == ["Linux/UNIX"]


def test_json_holds_the_same_offers(ec2: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ASK, "--json", "t4g.nano"]) == ExitCode.DONE
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert [(offer["instance_type"], offer["price_an_hour"]) for offer in document["offers"]] == [
        ("t4g.small", 0.006),
        ("t4g.small", 0.0063),
        ("t4g.medium", 0.0118),
        ("t4g.medium", 0.0119),
        ("t4g.medium", 0.0131),
    ]
    assert document["without_price"] == ["t4g.nano"]
    assert shown.err == "me-central-1 has no Linux/UNIX spot price of the last 7 days for t4g.nano.\n"


def test_no_price_at_all_is_a_failure(ec2: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--region", "me-central-1", "--days", "1", "t4g.nano"]) == ExitCode.FAILED
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "me-central-1 has no Linux/UNIX spot price of the last day for t4g.nano.\n"


@pytest.mark.parametrize(
    "elsewhere",
    ["me-central-1-dxb-1a", "us-east-1-wl1-bos-wlz-1", "me-central-1i", "us-east-1a", "me-central-11a"],
    ids=["Local Zone", "Wavelength Zone", "zone without a range", "another region", "a region of a longer name"],
)
def test_only_zones_that_ec2_spot_takes_are_shown_and_recommended(
    ec2: StandIn, capsys: pytest.CaptureFixture[str], elsewhere: str
) -> None:
    ec2.changes = [*ec2.changes, PriceChange("t4g.small", elsewhere, datetime.now(UTC), Decimal("0.0001"))]
    assert main(ASK) == ExitCode.DONE
    shown = capsys.readouterr()
    assert elsewhere not in shown.out
    assert shown.out.endswith("pulumi config set availability_zone me-central-1b\n")
    assert shown.err == (
        f"Left out: {elsewhere}; ec2_spot takes availability zones of me-central-1 itself, "
        "no Local or Wavelength Zones.\n"
    )


def test_a_change_without_a_zone_is_told_and_left_out(ec2: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    ec2.changes = [*ec2.changes, PriceChange("t4g.small", "", datetime.now(UTC), Decimal("0.0001"))]
    assert main([*ASK, "--json"]) == ExitCode.DONE
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert (len(document["offers"]), document["incomplete_changes"]) == (5, 1)
    assert shown.err == "Left out: 1 price change that names no zone, time, price or type.\n"


def test_an_instance_type_without_a_size_is_one_sentence(ec2: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    body = "<instanceTypeSet><item><instanceType>t4g.small</instanceType></item></instanceTypeSet>"
    answer = f'<DescribeInstanceTypesResponse xmlns="{NAMESPACE}">{body}</DescribeInstanceTypesResponse>'
    ec2.refusals["DescribeInstanceTypes"] = Refusal(200, answer)
    assert main(ASK) == ExitCode.FAILED
    assert capsys.readouterr().err == "EC2 described an instance type without its VCpuInfo.\n"


def test_unknown_types_are_named_and_no_price_is_asked(ec2: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--region", "me-central-1", "t4g.smal", "t4g.small"]) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("me-central-1 offers no instance type t4g.smal; did you mean t4g.small")
    assert ec2.asked("DescribeSpotPriceHistory") == []


CHECK_CREDENTIALS = (
    "AWS does not accept these credentials in me-central-1 (AuthFailure); check them with: aws sts get-caller-identity"
)
HTML = Refusal(200, "<!doctype html><p>Log in to the hotel's network</p>", "text/html")


@pytest.mark.parametrize(
    ("action", "answer", "sentence"),
    [
        ("DescribeInstanceTypes", refusal("AuthFailure", status=401), CHECK_CREDENTIALS),
        (
            "DescribeInstanceTypes",
            refusal("RequestExpired"),
            "The AWS credentials have expired (RequestExpired); renew them and run this again.",
        ),
        (
            "DescribeSpotPriceHistory",
            refusal("UnauthorizedOperation", "You are not authorized.", 403),
            "These AWS credentials may not call ec2:DescribeSpotPriceHistory in me-central-1 (UnauthorizedOperation).",
        ),
        (
            "DescribeSpotPriceHistory",
            refusal("InvalidParameterValue", "Invalid\n thing."),
            "EC2 in me-central-1 refused DescribeSpotPriceHistory: InvalidParameterValue: Invalid thing.",
        ),
        ("DescribeSpotPriceHistory", HTML, "What answered is not EC2: "),
    ],
    ids=["wrong keys", "expired", "denied", "refused", "a captive portal"],
)
def test_a_refusal_is_one_sentence(
    ec2: StandIn, action: str, answer: Refusal, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ec2.refusals[action] = answer
    assert main(ASK) == ExitCode.FAILED
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(sentence)
    assert shown.err.count("\n") == 1


def test_a_region_that_is_not_enabled_is_told_from_wrong_keys(ec2: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    ec2.refusals["DescribeInstanceTypes"] = refusal("AuthFailure", status=401)
    ec2.disabled_regions = ["me-central-1"]
    assert main(ASK) == ExitCode.FAILED
    assert capsys.readouterr().err == (
        "The region me-central-1 is not enabled in this account; "
        "enable it with: aws account enable-region --region-name me-central-1\n"
    )


@pytest.mark.parametrize("price", ["NaN", "-1", "Infinity"])
def test_what_is_no_price_is_refused(ec2: StandIn, price: str, capsys: pytest.CaptureFixture[str]) -> None:
    ec2.changes = [PriceChange("t4g.small", "me-central-1a", datetime.now(UTC), Decimal(price))]
    assert main(ASK) == ExitCode.FAILED
    assert "as a spot price, which is none" in capsys.readouterr().err


def test_verbose_shows_the_traceback_of_an_error(ec2: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    ec2.refusals["DescribeInstanceTypes"] = refusal("Unheard", "Of.")
    assert main([*ASK, "--verbose"]) == ExitCode.FAILED
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith("EC2 in me-central-1 refused DescribeInstanceTypes: Unheard: Of.\n")


@pytest.mark.parametrize(
    ("endpoint", "sentence"),
    [
        ("http://127.0.0.1:9", "EC2 cannot be reached: Could not connect to the endpoint URL"),
        ("nonsense", "EC2 cannot be asked: Invalid endpoint: nonsense; check AWS_ENDPOINT_URL."),
    ],
    ids=["nobody listens", "no URL"],
)
def test_an_endpoint_that_cannot_be_reached_is_one_sentence(
    endpoint: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert main(ASK) == ExitCode.FAILED
    shown = capsys.readouterr()
    assert shown.err.startswith(sentence)
    assert shown.err.count("\n") == 1


def test_missing_credentials_are_one_sentence(
    ec2: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert main(ASK) == ExitCode.FAILED
    assert capsys.readouterr().err == (
        "There are no AWS credentials; run aws configure, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY.\n"
    )


def test_an_unknown_profile_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert main(ASK) == ExitCode.FAILED
    assert capsys.readouterr().err == (
        "The config profile (nobody) could not be found; check AWS_PROFILE and ~/.aws/config.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--region", "me-centrall-1", "t4g.small"], "There is no region 'me-centrall-1'; did you mean me-central-1"),
        (["t4g.small"], "No region was given; name one with REGION=… or --region, or set AWS_REGION."),
        (["--region", "", "t4g.small"], "No region was given"),
        (["--region", "me-central-1"], "No instance type was given"),
        (["--region", "me-central-1", "t4g"], "'t4g' is no instance type"),
        (["--region", "me-central-1", "t4g.small", "--days", "0"], "'0' is no number of days"),
    ],
    ids=["unknown region", "no region", "empty region", "no type", "malformed type", "days"],
)
def test_a_wrong_request_asks_nobody(
    ec2: StandIn, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith(sentence)
    assert ec2.requests == []


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_may_come_from_the_environment(
    ec2: StandIn, variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "me-central-1")
    assert main(["t4g.small"]) == ExitCode.DONE
    assert capsys.readouterr().out.startswith("Spot prices in me-central-1, Linux/UNIX, US dollars, ")
