import sys
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from lab.drills.hostile_plants import deepen
from lab.machine import slot
from lab.machine.network import LAST_INSTANCE, subnet_of
from lab.machine.slot import SLOTS, prefix_of, routed_networks, take_slot

LONGEST_INTERFACE_NAME = 15
ROUTES = '[{"dst":"default","dev":"eth0"},{"dst":"10.77.0.0/16","dev":"tun0"},{"dst":"192.168.1.7","dev":"eth0"}]'


def test_the_default_route_occupies_no_network() -> None:
    assert routed_networks(ROUTES) == (IPv4Network("10.77.0.0/16"), IPv4Network("192.168.1.7/32"))
    assert routed_networks("") == ()


def test_names_of_interfaces_are_never_too_long() -> None:
    assert len(f"{prefix_of(SLOTS[-1])}v{LAST_INSTANCE}") <= LONGEST_INTERFACE_NAME


def test_no_two_labs_share_a_network() -> None:
    assert len({subnet_of(number) for number in SLOTS}) == len(SLOTS)


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(slot, "LOCKS", tmp_path / "locks")
    monkeypatch.setattr(slot, "NAMESPACES", tmp_path / "namespaces")
    monkeypatch.setattr(slot, "INTERFACES", tmp_path / "interfaces")
    monkeypatch.setattr(slot, "cgroup_folders", lambda prefix: ())
    monkeypatch.setattr(slot, "require_success", lambda arguments: '[{"dst":"10.77.1.0/24"}]')
    return tmp_path / "locks"


def test_labs_take_different_places_and_pass_over_a_network_in_use(locks: Path, tmp_path: Path) -> None:
    first, second = take_slot(tmp_path), take_slot(tmp_path)
    assert (first.number, second.number) == (0, 2)
    first.give_up()
    third = take_slot(tmp_path)
    assert third.number == 0
    second.give_up()
    third.give_up()


@pytest.mark.subprocess
def test_what_a_dead_lab_left_behind_is_swept_however_deep_and_a_living_ones_is_not(
    locks: Path, tmp_path: Path
) -> None:
    dead, living = take_slot(tmp_path), take_slot(tmp_path)
    for owner in (dead, living):
        (tmp_path / f"{owner.prefix}-abc").mkdir()
    deepen(tmp_path / f"{dead.prefix}-abc", 2 * sys.getrecursionlimit())
    dead.give_up()
    assert slot.sweep_leftovers(tmp_path) == (dead.prefix,)
    assert not (tmp_path / f"{dead.prefix}-abc").exists()
    assert (tmp_path / f"{living.prefix}-abc").exists()
    living.give_up()
