"""The bill is the sum of what a hand calculation gives, item by item."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.moto.server import EmbeddedAws
from openclaw_agent.store.cost import REQUEST_PRICES, STORAGE_PRICE
from operator_tools.cost.estimate import Usage, items, naive_items, total
from operator_tools.cost.price_list import PRICES_FILE, read_prices
from tests.support.operated_stack import OperatedStack, with_history

Lab = Callable[..., tuple[int, str, str]]

USAGE = Usage(
    instance_type="t4g.small",
    zone="us-east-1b",
    spot_hour=0.006,
    volume_gib=15,
    files=100,
    state_bytes=50 * 1024**2,
    stored_bytes=2 * 1024**3,
    changed_backups_a_day=24,
    changed_files=4,
    backup_interval_minutes=20,
    metrics=12,
    alarms=6,
    logs_gb=0.1,
    measured=True,
)


@pytest.fixture
def stack(embedded_aws: EmbeddedAws, tmp_path: Path) -> OperatedStack:
    return OperatedStack(embedded_aws, tmp_path)


def test_each_item_is_what_a_hand_calculation_gives() -> None:
    found = {row.name: row.usd for row in items(USAGE, read_prices())}

    assert found == {
        # 730 h at $0.006.
        "instance": pytest.approx(4.38),
        # 730 h at $0.005.
        "address": pytest.approx(3.65),
        # 15 GB at $0.08.
        "volume": pytest.approx(1.20),
        # 2 GB at $0.023.
        "backup storage": pytest.approx(0.046),
        # 720 backups of 100 copies, 4 uploads and 6 others are 79,200 writes at $5 a million: $0.396. 72 looks a day
        # that find what they find ask two questions each: 4,320 reads at $0.4 a million are $0.001728.
        "backup requests": pytest.approx(0.397728),
        "logs": pytest.approx(0.05),
        # Two beyond the ten that are free.
        "metrics": pytest.approx(0.60),
        "alarms": 0,
    }
    assert total(items(USAGE, read_prices())) == pytest.approx(10.323728)


def test_the_naive_way_is_what_a_hand_calculation_gives() -> None:
    found = {row.name: row.usd for row in naive_items(USAGE, read_prices())}

    assert found["instance"] == pytest.approx(730 * 0.0168)
    # 2,160 copies of 100 files and the 1,565 that nobody needs.
    assert found["backup requests"] == pytest.approx(2160 * 1665 * 0.005 / 1000)
    assert found["backup storage"] == pytest.approx(2160 * (50 * 1024**2 + 60_000_000) / 1024**3 * 0.023)


def test_a_type_without_a_listed_price_has_none_and_not_zero() -> None:
    from dataclasses import replace

    (instance, *_rest) = naive_items(replace(USAGE, instance_type="c7g.large"), read_prices())
    assert instance.usd is None
    assert "not in the list" in instance.because


def test_the_price_file_is_dated_and_names_a_source_for_each_price() -> None:
    written = json.loads(PRICES_FILE.read_text())

    assert re.fullmatch(r"\d{4}-\d\d-\d\d", written["as_of"])
    assert all(row["source"].startswith("https://aws.amazon.com/") for row in written["prices"].values())
    assert written["on_demand_hour"]["source"].startswith("https://aws.amazon.com/")


def test_the_agent_s_prices_are_those_of_the_file() -> None:
    usd = read_prices().usd
    assert usd["s3_gb_month"] == STORAGE_PRICE
    assert {REQUEST_PRICES[kind] for kind in ("PUT", "COPY", "LIST")} == {usd["s3_write_1000"] / 1000}
    assert {REQUEST_PRICES[kind] for kind in ("GET", "HEAD")} == {usd["s3_read_1000"] / 1000}


def test_before_anything_is_deployed_the_price_of_now_is_shown(lab: Lab, stack: OperatedStack) -> None:
    code, out, err = lab("cost", "--type", "t4g.small", "--zone", "us-east-1a")

    assert (code, err) == (0, "")
    (instance,) = (line.split() for line in out.splitlines() if line.startswith("instance"))
    assert 1 < float(instance[1]) < 20
    assert "Nothing is backed up yet" in out
    assert out.splitlines()[-1] == f"Next: openclaw-lab up --stack {stack.name}"


def test_with_a_real_state_its_files_and_bytes_count(lab: Lab, stack: OperatedStack) -> None:
    world = stack.bucket()
    with_history(world)
    stored = sum(row["Size"] for row in world.s3.list_object_versions(Bucket=world.bucket)["Versions"])

    told = json.loads(lab("cost", "--json")[1])

    items_told = {row["item"]: row for row in told["items"]}
    assert told["measured"] is True
    assert items_told["backup storage"]["usd"] == pytest.approx(stored / 1024**3 * 0.023, abs=1e-6)
    assert "of 2 files (measured)" in items_told["backup requests"]["because"]
    assert told["total"] == pytest.approx(sum(row["usd"] for row in told["items"]), abs=1e-4)
    assert told["total"] < told["naive_total"]


def test_an_unknown_type_is_one_sentence(lab: Lab) -> None:
    code, out, err = lab("cost", "--type", "t4g.smal")
    assert (code, out) == (2, "")
    assert err.startswith("us-east-1 offers no instance type t4g.smal; did you mean t4g.small")
