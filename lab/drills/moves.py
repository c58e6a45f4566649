"""The drill in which the instance moves: another zone by `pulumi up`, one subnet after the other."""

from lab.drills.endings import end_by_the_group
from lab.drills.scenario import Scenario
from lab.world.deployment import REPOSITORY, STACK
from lab.world.world import last_restore

ELSEWHERE = "b"


def change_of_zone(scenario: Scenario) -> None:
    """The zone is changed in the configuration, and `pulumi up` moves the instance there."""
    world = scenario.world
    machine = scenario.ready_machine()
    scenario.back_up(machine)
    owner, old_subnets = world.owner(), subnets(scenario)
    zone = world.aws.region + ELSEWHERE
    scenario.disaster(f"pulumi up with availability_zone {zone}")
    world.cloud.instance = world.cloud.engine.up(REPOSITORY / "ec2_spot", STACK, {"availability_zone": zone})
    # The refresh ends the old instance, and only then is the new one's turn.
    end_by_the_group(scenario, machine)
    last_snapshot = world.complete_snapshots()[-1]
    scenario.lose(machine)
    replacement = scenario.boot_replacement()
    scenario.wait_until_ready(replacement)
    lost = scenario.measure_loss(replacement)
    scenario.check("not one line of work is lost", lost == 0, f"{lost} s")
    now = world.owner()
    scenario.check(
        "there was one writer after the other: one epoch later, and restored from the old one's final backup",
        now["epoch"] == owner["epoch"] + 1 and last_restore(replacement)["snapshot"] == last_snapshot,
        f"{owner} then {now}",
    )
    new_subnets = subnets(scenario)
    scenario.check(
        f"the network of {', '.join(old_subnets)} is gone, and {zone} has a range of its own",
        set(new_subnets) == {zone} and not set(old_subnets.values()) & set(new_subnets.values()),
        f"{old_subnets} then {new_subnets}",
    )
    scenario.check(f"the instance is in {zone}", zone_of(scenario, replacement.instance_id) == zone)
    scenario.check_nothing_is_missing(replacement)
    scenario.record.what_happened = f"moved to {zone} by pulumi up: final backup, release, replacement; old subnet gone"


def subnets(scenario: Scenario) -> dict[str, str]:
    """The addresses of the stack's subnets, by their zones."""
    found = scenario.world.aws.client("ec2").describe_subnets(Filters=[{"Name": "tag:Stack", "Values": [STACK]}])
    return {subnet["AvailabilityZone"]: subnet["CidrBlock"] for subnet in found["Subnets"]}


def zone_of(scenario: Scenario, instance_id: str) -> str:
    """The zone that EC2 says the instance is in."""
    (found,) = scenario.world.aws.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"]
    zone: str = found["Instances"][0]["Placement"]["AvailabilityZone"]
    return zone
