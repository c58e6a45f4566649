import pytest

from openclaw_platform.names import Scope
from openclaw_platform.refusals import ConfigRefused

ACCOUNT = "123456789012"
NAMES = (
    "name",
    "backup_bucket",
    "scripts_bucket",
    "alarm_topic",
    "instance_role",
    "dashboard",
    "agent_log_group",
    "gateway_log_group",
    "bootstrap_log_group",
    "secrets_path",
)


@pytest.mark.parametrize("kind", NAMES)
def test_every_name_carries_the_stack_and_the_prefix(kind: str) -> None:
    dev, prod = (getattr(Scope(stack, "us-east-1", ACCOUNT), kind) for stack in ("dev", "prod"))

    assert "openclaw-lab" in dev
    assert "dev" in dev
    assert dev != prod
    assert dev.replace("dev", "prod") == prod


def test_the_longest_stack_name_still_makes_bucket_names_that_s3_takes() -> None:
    scope = Scope("a" * 29, "us-east-1", ACCOUNT)

    assert len(scope.scripts_bucket) == 63
    assert len(scope.instance_role) <= 64


@pytest.mark.parametrize("stack", ["", "Dev", "dev_1", "1dev", "dev-", "dev--eu", "dev.eu", "d" * 30])
def test_a_stack_name_that_cannot_be_part_of_a_bucket_name_is_refused(stack: str) -> None:
    with pytest.raises(ConfigRefused, match=r"The stack's name is .*, but must be at most 29 lower-case letters"):
        Scope(stack, "us-east-1", ACCOUNT)


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_a_region_of_china_or_govcloud_is_refused_in_one_sentence(region: str, partition: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        Scope("dev", region, ACCOUNT, partition)

    assert str(refused.value) == (
        f"The region is {region}, in AWS's partition '{partition}', but must be in 'aws': nothing here is made for the "
        "endpoints and services of China and GovCloud; set another region with `pulumi config set aws:region REGION`."
    )
