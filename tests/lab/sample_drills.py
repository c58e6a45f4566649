"""Fourteen records as drills might leave them, with crowds of events, spans of milliseconds, a failure and a skip."""

from lab.report.record import DrillRecord, Event, Severity, Span, Track

NAMES = (
    ("notice", "A notice two minutes ahead"),
    ("power-cut", "The power goes, without a notice"),
    ("cut-in-backup", "The power goes in the middle of a backup"),
    ("cut-in-restore", "The power goes in the middle of a restore"),
    ("rebalance", "A rebalance recommendation that comes to nothing"),
    ("two-owners", "Two instances at once"),
    ("dead-network", "The network goes for ten minutes"),
    ("denied", "S3 denies everything for a while"),
    ("full-disk", "The disk is full"),
    ("damaged-latest", "latest/ is damaged"),
    ("empty-state", "The state folder is emptied"),
    ("frozen-gateway", "The gateway hangs without ending"),
    ("reboot", "A plain reboot"),
    ("pause", "Paused and resumed"),
)


def sample_drills() -> list[DrillRecord]:
    records = [_power_cut(number, name, title) for number, (name, title) in enumerate(NAMES, start=1)]
    records[0].lost_seconds, records[0].what_happened = 0.0, "The instance backed up, released and ended in 14 s."
    records[4].lost_seconds = records[4].ready_seconds = 0.0
    records[4].events = [Event(12.0, Track.INSTANCE, "the recommendation is read"), *records[4].events[:1]]
    records[4].spans = records[4].spans[:1]
    records[6].failure = "the backup after the outage was refused: expected exit 0, got 75\nowner.json names i-0b2"
    records[6].checks = records[6].checks[:1]
    records[8] = DrillRecord(9, "full-disk", NAMES[8][1], skipped="needs root, to mount a file system of 64 MiB")
    return records


def _power_cut(number: int, name: str, title: str) -> DrillRecord:
    good, bad, step = Severity.GOOD, Severity.BAD, Severity.NEUTRAL
    cut = 61.3 + number
    freezes = [Span(began, began + 0.018, Track.FREEZE, "frozen for 18 ms", step) for began in (20.1, 40.1, 60.2)]
    backups = [
        Span(began - 0.4, began + 1.1, Track.BACKUP, f"backup {count}, 11 changed files, 15 requests", good)
        for count, began in enumerate((20.1, 40.1, 60.2), start=1)
    ]
    return DrillRecord(
        number,
        name,
        title,
        what_happened="The machine was cut off while the gateway wrote; its replacement came up from latest/.",
        lost_seconds=1.1 + number,
        ready_seconds=33.4 + number,
        seconds=cut + 48.0,
        checks=[
            "every one of 1,212 files has the SHA-256, mode, owner and time that it had at the last backup",
            "both databases open and pass their integrity check",
            "owner.json names the replacement, one epoch later",
        ],
        events=[
            Event(10.2, Track.GATEWAY, "ready for the first time", good),
            Event(cut, Track.DRILL, "power cut", bad),
            Event(cut + 0.02, Track.GATEWAY, "no answer any more", bad),
            Event(cut + 0.3, Track.DRILL, "the group notices"),
            Event(cut + 0.5, Track.DRILL, "a replacement is launched"),
            Event(cut + 9.0, Track.RESTORE, "lease taken, epoch 2"),
            Event(cut + 9.1, Track.S3, "manifest of latest/ read"),
            Event(cut + 9.2, Track.S3, "1,212 objects asked for"),
            Event(cut + 9.3, Track.S3, "all read", good),
            Event(cut + 9.35, Track.S3, "owner.json written"),
            Event(cut + 32.3 + number, Track.GATEWAY, "ready again: /readyz says so", good),
        ],
        spans=[
            Span(0.0, cut, Track.INSTANCE, "i-0a41 runs", good),
            Span(10.2, cut, Track.GATEWAY, "gateway up", good),
            Span(cut, cut + 32.3 + number, Track.GATEWAY, "down", bad),
            Span(cut + 0.5, cut + 48.0, Track.REPLACEMENT, "i-0b27 runs: cloud-init, release, restore, gateway", good),
            Span(cut + 8.9, cut + 10.4, Track.RESTORE, "restore of 1,212 files", good),
            *freezes,
            *backups,
        ],
    )
