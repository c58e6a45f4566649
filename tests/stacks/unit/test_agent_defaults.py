"""What the instance is not told, because nobody has changed it, is the same there and here."""

import json
from pathlib import Path

import pytest

from cloud_init import gateway_log, instance_files
from openclaw_agent import settings as agent
from openclaw_agent.errors import UsageError
from openclaw_agent.settings import load_settings
from openclaw_ec2_spot.config_keys import InstanceSettings
from openclaw_platform.config_table import ConfigKey

UNTOLD = {row.name: row for row in InstanceSettings.rows() if row.told_if_changed}
ZONE = {"availability_zone": "us-east-1a"}
LIMITS = [row for row in vars(agent).values() if isinstance(row, agent.LimitSetting)]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_a_limit_of_the_agent_has_the_default_and_the_bounds_of_its_key(
    limit: agent.LimitSetting, tmp_path: Path
) -> None:
    row: ConfigKey[int] = UNTOLD[limit.name]
    assert row.default == str(limit.default)
    assert (row.parse(str(limit.least)), row.parse(str(limit.most))) == (limit.least, limit.most)
    for beyond in (limit.least - 1, limit.most + 1):
        with pytest.raises(ValueError, match=str(beyond)):
            row.parse(str(beyond))
        (tmp_path / "instance.json").write_text(json.dumps({limit.name: beyond}))
        with pytest.raises(UsageError, match=f"{limit.name} in .* from {limit.least} to {limit.most}"):
            load_settings(bucket="bucket", environment={"OPENCLAW_AGENT_SETTINGS": str(tmp_path / "instance.json")})


def test_every_key_that_is_told_only_where_it_is_changed_has_its_default_on_the_instance() -> None:
    log = UNTOLD["gateway_log_mib_per_hour"].default
    assert log == str(instance_files.DEFAULT_LOG_MIB_PER_HOUR) == str(gateway_log.DEFAULT_MIB_PER_HOUR)
    assert UNTOLD["heartbeat_url"].default == ""
    assert load_settings(bucket="bucket", environment={}).heartbeat_url == ""
    assert UNTOLD.keys() == {limit.name for limit in LIMITS} | {"gateway_log_mib_per_hour", "heartbeat_url"}


def test_a_changed_limit_is_told_and_others_are_not() -> None:
    told = InstanceSettings({**ZONE, "backup_max_file_gib": "65"}.get).for_instance_json()
    assert told["backup_max_file_gib"] == 65
    assert UNTOLD.keys() & told.keys() == {"backup_max_file_gib"}
