from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from lab.engine.engine import Action
from lab.moto.server import EmbeddedAws

if TYPE_CHECKING:
    from tests.stacks.conftest import Stacks


def _latest_user_data(aws: EmbeddedAws, stack: str) -> tuple[int, str]:
    (version,) = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateName=f"openclaw-lab-{stack}", Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    return version["VersionNumber"], base64.b64decode(version["LaunchTemplateData"]["UserData"]).decode()


def test_a_changed_script_is_a_new_release_and_a_new_template_while_the_old_release_stays(
    aws: EmbeddedAws, stacks: Stacks
) -> None:
    first = stacks.platform("change")
    stacks.instance("change")
    script = stacks.repository / "scripts" / "openclaw-s3-backup.py"
    original = script.read_text()

    try:
        script.write_text(original + "\n# changed\n")
        second = stacks.platform("change")
    finally:
        script.write_text(original)
    steps = stacks.engine.preview(stacks.repository / "ec2_spot", "change", {"availability_zone": "us-east-1a"})
    stacks.instance("change")

    assert first["release_sha256"] != second["release_sha256"]
    changed = {urn.split("::")[2].split("$")[-1] for action, urn in steps if action is Action.UPDATE}
    assert changed == {"aws:ec2/launchTemplate:LaunchTemplate", "aws:autoscaling/group:Group"}
    assert len(steps) == 2
    version, user_data = _latest_user_data(aws, "change")
    assert version == 2
    assert second["release_sha256"] in user_data
    assert first["release_sha256"] not in user_data
    (group,) = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["openclaw-lab-change"])[
        "AutoScalingGroups"
    ]
    template = group["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]
    assert template["Version"] == "2"
    for release in (first, second):
        assert aws.client("s3").head_object(Bucket=release["scripts_bucket"], Key=release["release_key"])
