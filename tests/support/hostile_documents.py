"""Documents as a stranger would put them into the bucket: real ones with something changed, by a seeded chance."""

import copy
import hashlib
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from openclaw_agent.lease.record import Lease
from openclaw_agent.snapshot.codec import encode_manifest
from openclaw_agent.snapshot.manifest import (
    Attributes,
    DamagedDatabase,
    Fingerprint,
    Gap,
    Manifest,
    Omission,
)
from openclaw_agent.store.transfers import ListedObject
from tests.support.entries import file, folder, manifest, symlink

DEEP = "[" * 50_000 + "]" * 50_000
NUMBERS = (-1, 0, 1, 2**31, 2**32 - 2, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64, 2**80 * 10**9, -(2**93), 10**4000)
WORDS = [
    "file",
    "dir",
    "symlink",
    "0777",
    "7777777",
    "..",
    ".",
    "/",
    "//",
    "../x",
    "../../../../tmp/x",
    "/etc/passwd",
    "a",
    "a/b",
    "a//b",
    "a/./b",
    "link/x",
    "-1",
    "0o77",
    "2026-03-04-08-00",
    "latest",
    "frozen",
    "i-1",
    "i",
    "ia",
    "q",
    "eA==",
    "=",
    "!",
]
JUNK: tuple[Any, ...] = (
    *(None, True, False, {}, [], [[]], {"a": {}}, "", "x" * 300, "x" * 5000, "a/" * 2100 + "x", *NUMBERS, *WORDS),
    *(0.0, 1.0, 1.5, -0.5, 1e308, float("inf"), float("-inf"), float("nan"), " 7", "٣", "é", "00" * 32, "zz" * 32),
    *("\0", "a\0b", "\ud800", "\udcff", "\udc41", "\udcc3\udca9", "\u202e", "\x1b]0;owned\x07", "00 " * 32),
)
FIELDS = [
    "path",
    "kind",
    "mode",
    "uid",
    "gid",
    "mtime_ns",
    "size",
    "sha256",
    "sparse_bytes",
    "holes",
    "key",
    "target",
    "database",
    "unverified",
    "damaged",
    "stale",
    "captured_live",
    "fingerprint",
    "seen",
    "wal_fingerprint",
    "hard_link_to",
    "xattrs",
    "flags",
    "base",
    "format",
    "snapshot",
    "created",
    "epoch",
    "instance_id",
    "quarantined",
    "attributes",
    "capture",
    "files",
    "bytes",
    "skipped_count",
    "entries",
    "excluded",
    "skipped",
    "unrestorable",
    "left_behind",
    "gaps",
    "agent_version",
]
KEYS = [
    "latest/.openclaw/openclaw.json",
    "latest/.openclaw/a/b",
    "latest/manifest.json",
    "latest/openclaw.json",
    "owner.json",
    "snapshots/2026-03-04-08-00/.openclaw/a",
    "snapshots/2026-03-04-08-00/manifest.json",
    "snapshots/x/openclaw.json",
    "openclaw.json",
    "agents/a/agent/x",
    "workspace/notes.md",
    ".DS_Store",
    "snapshots/",
    "latest/",
    "latest/.openclaw/a/",
]
KEY_PARTS = (
    "..",
    ".",
    "",
    "x" * 256,
    "é" * 128,
    "\x1b[2J",
    "\u202e",
    "a",
    "b",
    ".openclaw",
    "\n",
    "\\",
    "\x7f",
    "\ufffe",
)


# What is right in its form, and hostile all the same.
LEGAL: dict[str, tuple[Any, ...]] = {
    "path": (
        "x" * 255,
        "\udcff",
        "a/\x1b[2J",
        "a/\u202e",
        "-rf",
        "a/" + "\udc80" * 255,
        "openclaw.json",
        "manifest.json",
    ),
    "mode": ("4755", "2755", "6777", "7777", "0000", "1777", "0"),
    "uid": (0, 1000, 65534, 2**31, 2**32 - 2),
    "gid": (0, 1000, 65534, 2**31, 2**32 - 2),
    "mtime_ns": (0, -1, 2**63 * 10**9 - 1, -(2**63) * 10**9, 2**34 * 10**9, 2**63),
    "size": (0, 5, 2**40, 2**63 - 1),
    "target": ("/", "..", "../../../../../../etc", "\udcff", "x" * 4095, "a", "/proc/self/fd/0", "link"),
    "xattrs": (
        {"security.capability": "AQAAAgAEAAAAAAAAAAAAAAAAAAA="},
        {"trusted.a": ""},
        {"user." + "n" * 250: "eA=="},
        None,
    ),
    "flags": ("i", "a", "ia"),
    "epoch": (1, 2**63 - 1, 2**63 - 2),
    "instance_id": ("i-2", "a" * 253),
    "preempted": ("", "i-2"),
    "released": (True, False),
    "quarantined": ("because", "\x1b[2J"),
    "hard_link_to": ("a/f", "link"),
    "snapshot": ("9999-12-31-23-59", "0001-01-01-00-00"),
}


def full_manifest(targets: str = "a") -> Manifest:
    """A manifest with every field; its symlink leads to `targets`."""
    seen = Fingerprint(5, 1_700_000_000_000_000_001, 1_700_000_000_000_000_002, 77)
    attributes = Attributes((("system.posix_acl_access", b"\2\0\0\0"), ("user.a", b"x")), "")
    entries = [
        folder(),
        folder("a"),
        replace(file("a/f", b"hello"), fingerprint=seen, attributes=attributes),
        replace(file("a/g", b"hello"), hard_link_to="a/f"),
        replace(file("db", b"x" * 100), database=True, wal_fingerprint=seen, unverified=True, sparse_bytes=50),
        symlink("link", targets),
        replace(file("z", b""), captured_live=True, stale=True, damaged=True, mode=0o4755),
    ]
    return replace(
        manifest(entries),
        excluded=(Omission("cache", "a cache"),),
        skipped=(Omission("fifo", "no file"),),
        skipped_count=1,
        damaged=(DamagedDatabase("db", "malformed", ".damaged/db", "", bytes(32)),),
        unrestorable=("latest/a//b",),
        gaps=(Gap("gone", "it could not be read"), Gap("lost", "archived", accepted=True, missing=True)),
    )


class Stranger:
    """Makes one hostile document after the other; the same seed makes the same ones."""

    def __init__(self, seed: int, targets: str = "a") -> None:
        self.chance = random.Random(seed)
        lines = b"".join(encode_manifest(full_manifest(targets))).decode().splitlines()
        self._header: dict[str, Any] = json.loads(lines[0].removesuffix(',"entries":[') + "}")
        self._rows: list[Any] = [json.loads(line.removesuffix(",")) for line in lines[1:-1]]
        self._last: dict[str, Any] = json.loads("{" + lines[-1].removeprefix("],"))
        del self._last["sha256"]
        self._lease = json.loads(Lease(7, "i-1", "2026-03-04T08:00:00+00:00", released=False, preempted="i-0").encode())

    def manifest(self) -> bytes:
        """One whose own checksum is right, whatever it says; now and then one that is torn or has other bytes."""
        header, rows, last = copy.deepcopy(self._header), copy.deepcopy(self._rows), copy.deepcopy(self._last)
        if self.chance.random() < 0.2:
            header["format"] = 1
        for _change in range(self.chance.choice([1, 1, 1, 2, 3])):
            part = self.chance.random()
            if part < 0.15:
                self._alter(header)
            elif part < 0.25:
                self._alter(last)
            elif part < 0.85:
                one = self.chance.choice(rows)
                if isinstance(one, dict):
                    self._alter(one)
            else:
                self._rearrange(rows)
        text = assemble(header, rows, last, self._line)
        return self._torn(text) if self.chance.random() < 0.1 else text

    def lease(self) -> bytes:
        """A lease record."""
        fields = copy.deepcopy(self._lease)
        for _change in range(self.chance.choice([1, 1, 2])):
            self._alter(fields)
        text = self._line(fields).encode()
        return self._torn(text) if self.chance.random() < 0.2 else text

    def listing(self) -> list[ListedObject]:
        """A listing of a bucket without usable manifests, in the order of its keys."""
        keys = set(self.chance.sample(KEYS, self.chance.randint(1, len(KEYS))))
        for _more in range(self.chance.randint(0, 6)):
            parts = self.chance.choice(KEYS).split("/")
            parts.insert(self.chance.randint(0, len(parts)), self.chance.choice(KEY_PARTS))
            keys.add("/".join(parts))
        sizes = (0, 1, 5, 2**40, 2**63 - 1)
        modified = datetime(2026, 3, 4, tzinfo=UTC)
        return [ListedObject(key, self.chance.choice(sizes), modified) for key in sorted(keys)]

    def _alter(self, fields: dict[str, Any]) -> None:
        chance = self.chance.random()
        name = self.chance.choice([*fields, *fields, *fields, self.chance.choice(FIELDS)])
        value = fields.get(name)
        if chance < 0.4 and name in LEGAL:
            fields[name] = self.chance.choice(LEGAL[name])
        elif chance < 0.5:
            fields.pop(name, None)
        elif chance < 0.6 and isinstance(value, dict) and value:
            self._alter(value)
        elif chance < 0.6 and isinstance(value, list) and value:
            value[self.chance.randrange(len(value))] = self.chance.choice(JUNK)
        elif chance < 0.65:
            fields[self.chance.choice([str(one) for one in JUNK])] = self.chance.choice(JUNK)
        else:
            fields[name] = copy.deepcopy(self.chance.choice(JUNK))

    def _rearrange(self, rows: list[Any]) -> None:
        chance = self.chance.random()
        if chance < 0.3:
            self.chance.shuffle(rows)
        elif chance < 0.6:
            rows.insert(self.chance.randint(0, len(rows)), copy.deepcopy(self.chance.choice(rows)))
        elif chance < 0.8:
            del rows[self.chance.randrange(len(rows))]
        else:
            rows[self.chance.randrange(len(rows))] = self.chance.choice([*JUNK, *self._rows])

    def _line(self, fields: object) -> str:
        text = json.dumps(fields, separators=(",", ":"))
        if self.chance.random() < 0.02:
            return text[:-1] + ',"more":' + self.chance.choice([DEEP, "1" * 5000, '"\\u', "1e999", text]) + "}"
        if self.chance.random() < 0.02 and text.startswith('{"'):
            # The first field twice.
            return text[:-1] + "," + text[1:].split(",")[0].rstrip("}") + "}"
        return text

    def _torn(self, text: bytes) -> bytes:
        place = self.chance.randrange(len(text))
        if self.chance.random() < 0.5:
            return text[:place]
        return text[:place] + self.chance.randbytes(self.chance.randint(1, 9)) + text[place + 1 :]


def assemble(header: Any, rows: Iterable[Any], last: Any, line: Callable[[Any], str]) -> bytes:
    """The text of a manifest with a checksum that is right."""
    head = line(header)
    lines = [row if isinstance(row, str) and not row else line(row) for row in rows]
    rest = line(last)[1:-1]
    digest = hashlib.sha256((head + "".join(lines) + "{" + rest + "}").encode()).hexdigest()
    return (f'{head[:-1]},"entries":[\n' + ",\n".join(lines) + "\n]," + rest + f',"sha256":"{digest}"}}\n').encode()
