import pytest

from openclaw_platform.names import Scope
from openclaw_platform.outputs import PlatformOutputs


@pytest.fixture
def scope() -> Scope:
    return Scope("dev", "me-central-1", "123456789012")


@pytest.fixture
def platform(scope: Scope) -> PlatformOutputs[str]:
    return PlatformOutputs(
        backup_bucket=scope.backup_bucket,
        scripts_bucket=scope.scripts_bucket,
        release_key=f"releases/{'a' * 64}/openclaw-release.tar",
        release_sha256="a" * 64,
        repository_url="123456789012.dkr.ecr.me-central-1.amazonaws.com/openclaw-lab-dev",
        repository_arn="arn:aws:ecr:me-central-1:123456789012:repository/openclaw-lab-dev",
        alarm_topic_arn="arn:aws:sns:me-central-1:123456789012:openclaw-lab-alarms-dev",
        agent_log_group=scope.agent_log_group,
        gateway_log_group=scope.gateway_log_group,
        bootstrap_log_group=scope.bootstrap_log_group,
        log_retention_days="30",
        region=scope.region,
        account_id=scope.account_id,
        backup_kms_key_arn="",
    )
