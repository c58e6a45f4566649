"""What the instance is told at its first boot: where its release lies, and the settings of its agent."""

import base64
import json
from string import Template

from openclaw_ec2_spot.config_keys import InstanceSettings
from openclaw_platform.names import Scope
from openclaw_platform.outputs import PlatformOutputs
from openclaw_platform.refusals import ConfigRefused

LIMIT_BYTES = 16_384
"""The most user-data that EC2 takes, before base64."""


def instance_json(scope: Scope, settings: InstanceSettings, platform: PlatformOutputs[str]) -> str:
    """The settings that the installer and the agent read on the instance; it holds no secret."""
    return json.dumps(
        {
            "stack": scope.stack,
            "region": scope.region,
            "backup_bucket": platform.backup_bucket,
            "scripts_bucket": platform.scripts_bucket,
            "release_key": platform.release_key,
            "release_sha256": platform.release_sha256,
            "secrets_path": scope.secrets_path,
            "scaling_group": scope.name,
            "lifecycle_hook": scope.final_backup_hook,
            "agent_log_group": platform.agent_log_group,
            "gateway_log_group": platform.gateway_log_group,
            "bootstrap_log_group": platform.bootstrap_log_group,
            "log_retention_days": int(platform.log_retention_days),
            "metric_namespace": scope.metric_namespace,
            **settings.for_instance_json(),
        },
        indent=1,
    )


def render_user_data(template: str, scope: Scope, settings: InstanceSettings, platform: PlatformOutputs[str]) -> str:
    """Fill the template of cloud_init/.

    Raises:
        ConfigRefused: when the result is more than EC2 takes, which only a long list of excludes can bring about.
    """
    rendered = Template(template).substitute(
        instance_json_b64=base64.b64encode(instance_json(scope, settings, platform).encode()).decode(),
        stack=scope.stack,
        region=scope.region,
        scripts_bucket=platform.scripts_bucket,
        release_key=platform.release_key,
        release_sha256=platform.release_sha256,
    )
    size = len(rendered.encode())
    if size > LIMIT_BYTES:
        raise ConfigRefused(
            f"extra_excludes makes the user-data {size:,} bytes long, but that must be at most {LIMIT_BYTES:,}: "
            "list fewer patterns."
        )
    return rendered
