"""docs/format.md's table of what a backup asks of S3 and in which order, held against a real backup's requests."""

import re
from pathlib import Path

from lab.faults.proxy import FaultProxy
from tests.support.simulated_instance import FreshBucket, let_clock_tick

FORMAT = Path(__file__).resolve().parents[3] / "docs" / "format.md"


def table_of_the_docs() -> list[tuple[str, str]]:
    table = FORMAT.read_text().split("<!-- order of writes -->", 1)[1]
    rows = re.findall(r"^\| \d+ \| ([A-Z]+) \| `([^`]+)`", table, re.MULTILINE)
    return [(operation, key) for operation, key in rows]


def place_of(key: str) -> str:
    """A key as the docs' table writes it."""
    key = re.sub(r"snapshots/[0-9-]+/", "snapshots/NAME/", key)
    return re.sub(r"\.openclaw/.*", ".openclaw/…", key)


def test_a_backup_asks_s3_in_the_order_that_the_docs_tell(world: FreshBucket, proxy: FaultProxy) -> None:
    world.environment["AWS_ENDPOINT_URL"] = proxy.endpoint_url
    machine = world.booted()
    for number in range(5):
        machine.write(f"workspace/{number}.md", f"note {number}")
    assert machine.backup().code == 0
    let_clock_tick()
    machine.write("workspace/0.md", "changed")
    (machine.state / "workspace" / "1.md").unlink()
    proxy.begin()

    run = machine.backup()

    assert run.code == 0, run.err
    assert proxy.wait_until_idle()
    seen: list[tuple[str, str]] = []
    for exchange in proxy.log:
        # S3's bulk deletion names its keys in its body.
        key = "latest/.openclaw/…" if exchange.seen.operation == "DELETE" else place_of(exchange.seen.key)
        row = (str(exchange.seen.operation), key)
        if not seen or seen[-1] != row:
            seen.append(row)
    assert seen == table_of_the_docs()
