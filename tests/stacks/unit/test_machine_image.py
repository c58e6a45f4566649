import pytest

from openclaw_ec2_spot.machine_image import (
    ImageChoice,
    MachineImage,
    choose_unpinned,
    refresh_is_asked,
    replaces_the_instance,
    require_image_architecture,
    takes_the_newest,
)
from openclaw_ec2_spot.placement import Architecture
from openclaw_platform.refusals import ConfigRefused

OLD, NEW = "ami-00000000000000001", "ami-00000000000000002"
REPLACED = (
    f"The instance is replaced, because its machine image changes from {OLD} to {NEW}: a final backup, then a new "
    "instance that restores it."
)


@pytest.mark.parametrize(
    ("deployed", "seen", "take_newest", "choice"),
    [
        ("", None, False, ImageChoice(NEW)),
        (NEW, MachineImage(NEW, "arm64"), False, ImageChoice(NEW)),
        (NEW, None, True, ImageChoice(NEW)),
        (OLD, None, True, ImageChoice(NEW, warning=REPLACED)),
        (OLD, MachineImage(OLD, "x86_64"), False, ImageChoice(NEW, warning=REPLACED)),
        (
            OLD,
            None,
            False,
            ImageChoice(
                NEW,
                warning=f"The deployed machine image {OLD} is not there any more, so that the newest takes its place. "
                + REPLACED,
            ),
        ),
        (
            OLD,
            MachineImage(OLD, "arm64"),
            False,
            ImageChoice(
                OLD,
                hint=f"The machine image stays {OLD}; there is a newer one, {NEW}: `make up REFRESH_AMI=1` takes it, "
                "which replaces the instance.",
            ),
        ),
    ],
    ids=["first", "same", "same, refreshed", "refreshed", "other architecture", "gone", "stays"],
)
def test_the_deployed_image_stays_until_it_is_asked_for_or_cannot(
    deployed: str, seen: MachineImage | None, take_newest: bool, choice: ImageChoice
) -> None:
    assert choose_unpinned(NEW, deployed, seen, Architecture.ARM64, take_newest=take_newest) == choice


def test_a_pinned_image_of_the_wrong_architecture_is_refused() -> None:
    require_image_architecture("ami-1", "arm64", Architecture.ARM64)

    with pytest.raises(ConfigRefused, match=r"^ami_id is 'ami-1', an image for x86_64, but must be one for arm64 as "):
        require_image_architecture("ami-1", "x86_64", Architecture.ARM64)


def test_only_a_changed_image_is_told() -> None:
    assert replaces_the_instance("", NEW) == replaces_the_instance(NEW, NEW) == ""
    assert replaces_the_instance(OLD, NEW) == REPLACED


def test_the_newest_is_taken_by_the_key_or_for_once() -> None:
    assert not takes_the_newest("", refresh=False)
    assert takes_the_newest("", refresh=True)
    assert takes_the_newest("newest", refresh=False)
    assert not takes_the_newest(OLD, refresh=False)

    with pytest.raises(ConfigRefused, match=rf"^REFRESH_AMI is '1', but ami_id pins {OLD}: run `pulumi config rm ami_"):
        takes_the_newest(OLD, refresh=True)


@pytest.mark.parametrize("value", ["yes", "true", "2", " 1"])
def test_a_refresh_that_is_no_1_is_refused(value: str) -> None:
    assert refresh_is_asked({"REFRESH_AMI": "1"})
    assert not any(map(refresh_is_asked, ({}, {"REFRESH_AMI": ""}, {"REFRESH_AMI": "0"})))

    with pytest.raises(ConfigRefused, match=rf"^REFRESH_AMI is '{value}', but must be 1 "):
        refresh_is_asked({"REFRESH_AMI": value})
