"""Every drill by its name, in the order in which they are run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.drills.damage import corrupted_latest, deleted_state, runbook_restore
from lab.drills.endings import no_notice, rebalance, reboot, spot_notice
from lab.drills.hostile import hostile_gateway
from lab.drills.limits import disk_full, out_of_memory
from lab.drills.moves import change_of_zone
from lab.drills.outages import at_boot, while_running
from lab.drills.pauses import pause_and_resume
from lab.drills.replacements import new_release, two_instances
from lab.drills.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Drill:
    """One scenario: its number, its name for `make drill NAME=…`, what it is called, and how it is run."""

    number: int
    name: str
    title: str
    run: Callable[[Scenario], None]


DRILLS: tuple[Drill, ...] = (
    Drill(1, "spot-notice", "Spot notice of two minutes", spot_notice),
    Drill(2, "no-notice", "Power cut without a notice", no_notice),
    Drill(3, "rebalance", "Rebalance recommendation", rebalance),
    Drill(4, "new-release", "pulumi up with a changed script", new_release),
    Drill(5, "two-instances", "Both instances alive at once", two_instances),
    Drill(6, "reboot", "Reboot of the same instance", reboot),
    Drill(7, "s3-away-at-boot", "S3 unreachable at boot", at_boot),
    Drill(8, "s3-away-for-hours", "S3 unreachable for two hours while running", while_running),
    Drill(9, "corrupted-latest", "Corrupted latest/", corrupted_latest),
    Drill(10, "deleted-state", "State folder deleted by mistake", deleted_state),
    Drill(11, "runbook-restore", "Restore of a chosen snapshot, and of an archive", runbook_restore),
    Drill(12, "pause-and-resume", "Pause and resume", pause_and_resume),
    Drill(13, "out-of-memory", "Out of memory", out_of_memory),
    Drill(14, "disk-full", "Disk full, freed again", disk_full),
    Drill(15, "hostile-gateway", "A gateway that is hostile", hostile_gateway),
    # Last: all others deploy into the zone that it leaves.
    Drill(16, "change-of-zone", "pulumi up with another zone", change_of_zone),
)


def chosen(names: Sequence[str]) -> tuple[Drill, ...]:
    """The drills of these names, in the catalogue's order; all of them where none is named.

    Raises:
        ValueError: naming the name that there is no drill of, and those there are.
    """
    known = {drill.name: drill for drill in DRILLS}
    for name in names:
        if name not in known:
            raise ValueError(f"There is no drill named {name!r}; there are {', '.join(known)}.")
    return tuple(drill for drill in DRILLS if not names or drill.name in names)
