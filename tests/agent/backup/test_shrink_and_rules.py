"""The shrink guard and exclude rules: a rule is no loss, and hides none."""

import json

import pytest

from tests.support.simulated_instance import FreshBucket, SimulatedInstance


def configure(machine: SimulatedInstance, *patterns: str) -> None:
    machine.environment["OPENCLAW_FREEZER"] = "none"
    (machine.disk / "instance.json").write_text(json.dumps({"excludes": list(patterns)}))


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    """Twenty files of media, four notes."""
    for number in range(20):
        machine.write(f"media/{number % 3}/{number}.bin")
    for number in range(4):
        machine.write(f"workspace/{number}.md")
    assert machine.backup().code == 0
    return machine


@pytest.mark.parametrize("pattern", ["media/", "media/**/*.bin", "**/*.bin"])
def test_a_change_of_exclude_rules_is_no_loss_of_files(
    world: FreshBucket, writer: SimulatedInstance, pattern: str
) -> None:
    configure(writer, pattern)
    run = writer.backup("--final")
    assert run.code == 0, run.err
    assert not [key for key in world.keys("latest/") if key.endswith(".bin")]


def test_files_that_are_lost_are_told_whatever_the_rules_leave_out_now(writer: SimulatedInstance) -> None:
    configure(writer, "media/")
    for number in range(3):
        (writer.state / f"workspace/{number}.md").unlink()
    run = writer.backup()
    assert run.code == 3
    assert "the state folder holds 1 files, the last backup held 4" in run.err


def test_what_a_rule_no_longer_leaves_out_hides_no_loss(writer: SimulatedInstance) -> None:
    configure(writer, "media/")
    assert writer.backup().code == 0
    configure(writer)
    for number in range(3):
        (writer.state / f"workspace/{number}.md").unlink()
    assert writer.backup().code == 3
