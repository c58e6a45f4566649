from dataclasses import replace

import pytest

from lab.host.capabilities import Feature, HostFacts, capabilities, inspect_host

ABLE = HostFacts(
    system="Linux",
    architecture="x86_64",
    is_root=True,
    has_apt=True,
    missing_programs=(),
    may_make_namespaces=True,
    cgroup_controllers=frozenset({"cpu", "memory", "pids"}),
)


def test_an_able_machine_can_do_everything() -> None:
    assert [(row.feature, row.can_run, row.reason) for row in capabilities(ABLE)] == [
        (feature, True, "") for feature in Feature
    ]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (replace(ABLE, system="Darwin"), "it needs Linux, and this is Darwin"),
        (replace(ABLE, architecture="riscv64"), "x86_64 or aarch64 processor, and this is riscv64"),
        (replace(ABLE, is_root=False, may_make_namespaces=False), "it needs root (try: sudo make lab)"),
        (replace(ABLE, has_apt=False, missing_programs=("mmdebstrap",)), "without apt-get"),
        (replace(ABLE, may_make_namespaces=False), "does not let root make mount, network and process namespaces"),
        (replace(ABLE, cgroup_controllers=None), "no cgroup v2"),
    ],
    ids=["no Linux", "processor", "no root", "no apt", "no namespaces", "no cgroup v2"],
)
def test_what_cannot_run_is_refused_with_its_reason(found: HostFacts, reason: str) -> None:
    for row in capabilities(found):
        assert not row.can_run
        assert reason in row.reason


def test_missing_programs_are_no_obstacle_where_apt_can_install_them() -> None:
    assert all(row.can_run for row in capabilities(replace(ABLE, missing_programs=("systemd-nspawn", "mmdebstrap"))))


def test_without_the_memory_controller_only_memory_limits_are_missing() -> None:
    rows = capabilities(replace(ABLE, cgroup_controllers=frozenset({"hugetlb"})))
    assert [row.feature for row in rows if not row.can_run] == [Feature.MEMORY_LIMITS]


@pytest.mark.subprocess
def test_looking_around_works_on_any_machine() -> None:
    assert len(capabilities(inspect_host())) == len(Feature)
