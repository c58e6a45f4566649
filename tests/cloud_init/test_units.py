"""The systemd units, judged by systemd itself and by the rules that past accidents taught (facts)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CLOUD_INIT = Path(__file__).parents[2] / "cloud_init"
UNITS = CLOUD_INIT / "units"
SHARED = UNITS / "openclaw-.service.d" / "hardening.conf"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
TIMERS = sorted(path.name for path in UNITS.glob("*.timer"))
SOCKETS = sorted(path.name for path in UNITS.glob("*.socket"))
EXECUTABLES = ("bin/bash", "bin/sh", "bin/true", "usr/bin/docker", "usr/bin/python3.11", "usr/bin/systemctl")
SYSTEM_UNITS = next(
    (folder for folder in map(Path, ("/usr/lib/systemd/system", "/lib/systemd/system")) if folder.is_dir()), None
)

# What systemd-analyze security may find at most, in tenths (0 is a locked box, 100 a plain root service). What keeps a
# unit above 25 is a row of docs/security.md.
MOST_EXPOSURE = 25
SECURITY_PAGE = CLOUD_INIT.parent / "docs/security.md"
EXPOSURE_LIMITS = {
    "openclaw-auto-approve.service": 25,
    "openclaw-gateway-log.service": 20,
    "openclaw-health.service": 20,
    "openclaw-s3-backup.service": 29,
    "openclaw-s3-drill.service": 29,
    "openclaw-s3-final.service": 29,
    "openclaw-s3-lifecycle.service": 22,
    "openclaw-s3-restore.service": 29,
    "openclaw-spot-watch.service": 29,
    # It mounts for the machine, so that it cannot have a view of its own of anything.
    "openclaw-state-view.service": 38,
    "openclaw-swap.service": 25,
    "openclaw.service": 30,
}

ABOVE_THE_LIMIT = [
    name for name in SERVICES if EXPOSURE_LIMITS[name] > MOST_EXPOSURE and name != "openclaw-state-view.service"
]

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def reasons_of_the_page() -> set[str]:
    """What docs/security.md says that units cannot do without."""
    section = SECURITY_PAGE.read_text(encoding="utf-8").partition("## What the units cannot do without")[2]
    rows = re.findall(r"^\| `([^`]+)` \| [^|]+ \|$", section, re.MULTILINE)
    return {row.replace("\\|", "|") for row in rows}


Settings = dict[tuple[str, str], list[str]]


def read_unit(name: str) -> Settings:
    """Return every value of each (section, key); keys repeat in unit files, so configparser cannot read them."""
    return read_settings(UNITS / name)


def read_settings(path: Path) -> Settings:
    settings: Settings = {}
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, value = line.split("=", 1)
            settings.setdefault((section, key), []).append(value)
    return settings


def words(settings: Settings, section: str, key: str) -> set[str]:
    return {word for value in settings.get((section, key), []) for word in value.split()}


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_limits_of_memory_and_tasks_below_a_small_machine_s(name: str) -> None:
    unit = read_unit(name)

    (memory,), (tasks,) = unit["Service", "MemoryMax"], unit["Service", "TasksMax"]
    assert int(memory.removesuffix("M")) <= 768
    assert int(tasks) <= 256


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root folder with our units, the machine's own units, and empty programs where ours expect them."""
    assert SYSTEM_UNITS is not None
    shutil.copytree(SYSTEM_UNITS, tmp_path / "usr/lib/systemd/system", symlinks=True)
    shutil.copytree(UNITS, tmp_path / "etc/systemd/system")
    for executable in EXECUTABLES:
        program = tmp_path / executable
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n", encoding="utf-8")
        program.chmod(0o755)
    return tmp_path


def verify(root: Path, *names: str) -> str:
    command = ["systemd-analyze", f"--root={root}", "verify", "--man=no", *names]
    finished = subprocess.run(command, capture_output=True, text=True)
    return finished.stdout + finished.stderr


@needs_systemd
@pytest.mark.subprocess
def test_systemd_has_nothing_to_say_about_any_unit(root: Path) -> None:
    assert verify(root, *SERVICES, *TIMERS, *SOCKETS) == ""


@needs_systemd
@pytest.mark.subprocess
def test_the_check_would_speak_up_about_an_unknown_key(root: Path) -> None:
    unit = root / "etc/systemd/system/openclaw-s3-restore.service"
    unit.write_text(unit.read_text(encoding="utf-8") + "RemainAfterExit=yes\n", encoding="utf-8")
    assert "RemainAfterExit" in verify(root, unit.name)


def test_every_service_has_an_exposure_limit() -> None:
    assert sorted(EXPOSURE_LIMITS) == SERVICES


@needs_systemd
@pytest.mark.subprocess
@pytest.mark.parametrize("name", SERVICES)
def test_the_service_is_hardened(root: Path, name: str) -> None:
    command = ["systemd-analyze", f"--root={root}", "security", "--offline=yes", "--no-pager"]
    finished = subprocess.run([*command, f"--threshold={EXPOSURE_LIMITS[name]}", name], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout


@needs_systemd
@pytest.mark.subprocess
@pytest.mark.parametrize("name", ABOVE_THE_LIMIT)
def test_what_is_counted_against_a_unit_above_the_limit_has_its_reason(root: Path, name: str) -> None:
    command = ["systemd-analyze", f"--root={root}", "security", "--offline=yes", "--json=short", "--no-pager", name]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    counted = {row["name"] for row in told if float(row["exposure"] or 0) > 0}
    assert counted <= reasons_of_the_page()


@needs_systemd
@pytest.mark.subprocess
def test_the_check_would_speak_up_without_the_lines_that_the_services_share(root: Path) -> None:
    (root / "etc/systemd/system" / SHARED.relative_to(UNITS)).unlink()
    command = ["systemd-analyze", f"--root={root}", "security", "--offline=yes", "--no-pager", "--threshold=29"]
    finished = subprocess.run([*command, "openclaw-s3-backup.service"], capture_output=True, text=True)
    assert finished.returncode != 0, finished.stdout


@pytest.mark.parametrize("name", [name for name in SERVICES if name.startswith("openclaw-")])
def test_no_service_sets_what_the_shared_lines_would_override(name: str) -> None:
    # They are read after the unit: an exception in the unit would silently be none.
    assert read_unit(name).keys().isdisjoint(read_settings(SHARED))


def test_the_gateway_has_the_shared_lines_itself() -> None:
    # Its name has no dash, so the prefix does not reach it.
    gateway = read_unit("openclaw.service")
    assert {key: gateway[key] for key in read_settings(SHARED)} == read_settings(SHARED)


def test_only_the_gateway_requires_another_unit_and_that_is_the_restore() -> None:
    strong = {
        (name, key): values
        for name in (*SERVICES, *TIMERS)
        for (section, key), values in read_unit(name).items()
        if section == "Unit" and key in {"Requires", "Requisite", "BindsTo", "Upholds", "PropagatesStopTo"}
    }
    assert strong == {("openclaw.service", "Requires"): ["openclaw-s3-restore.service"]}


def test_the_gateway_starts_after_what_it_requires() -> None:
    assert "openclaw-s3-restore.service" in words(read_unit("openclaw.service"), "Unit", "After")


@pytest.mark.parametrize("name", SERVICES)
def test_remain_after_exit_stands_only_in_the_service_section(name: str) -> None:
    places = {section for section, key in read_unit(name) if key == "RemainAfterExit"}
    assert places <= {"Service"}


def test_the_restore_runs_once_a_boot_and_is_tried_until_s3_is_back() -> None:
    unit = read_unit("openclaw-s3-restore.service")
    assert unit["Service", "RemainAfterExit"] == ["yes"]
    assert unit["Service", "Restart"] == ["on-failure"]
    assert unit["Unit", "StartLimitIntervalSec"] == ["0"]
    assert unit["Service", "ExecStartPost"] == ["-/usr/bin/systemctl start --no-block openclaw.service"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_oneshot_has_a_start_timeout(name: str) -> None:
    unit = read_unit(name)
    if unit["Service", "Type"] == ["oneshot"]:
        assert ("Service", "TimeoutStartSec") in unit


def test_the_backup_runs_only_while_the_gateway_does_and_always_thaws_it() -> None:
    unit = read_unit("openclaw-s3-backup.service")
    assert unit["Service", "ExecCondition"] == ["/usr/bin/systemctl is-active --quiet openclaw.service"]
    assert unit["Unit", "PartOf"] == ["openclaw.service"]
    assert "openclaw.service" in words(unit, "Unit", "After")
    assert [value.split()[-1] for value in unit["Service", "ExecStopPost"]] == ["--thaw"]


def test_the_final_backup_stops_between_the_gateway_and_the_network() -> None:
    unit = read_unit("openclaw-s3-final.service")
    assert "openclaw.service" in words(unit, "Unit", "Before")
    assert {"network.target", "network-online.target", "nss-lookup.target"} <= words(unit, "Unit", "After")
    assert unit["Service", "ExecStop"] == ["/usr/bin/python3.11 /usr/local/bin/openclaw-s3-backup.py --final"]
    assert unit["Service", "RemainAfterExit"] == ["yes"]
    assert "openclaw-s3-final.service" in words(read_unit("openclaw.service"), "Unit", "Wants")


def test_the_gateways_start_clears_mends_fetches_and_pulls_in_that_order() -> None:
    steps = read_unit("openclaw.service")["Service", "ExecStartPre"]
    # Nothing of the gateway's may be alive when its folder is looked at.
    assert steps[0] == "-/usr/bin/docker compose --project-name openclaw down --timeout 10 --remove-orphans"
    assert [step.split()[1] if step.startswith("/") else "" for step in steps[1:]] == [
        "/usr/local/bin/openclaw-s3-restore.py",
        "/usr/local/bin/openclaw-fetch-secrets.py",
        "/opt/openclaw-agent/current/pull-image.sh",
    ]
    assert steps[1].endswith("before-start")


def test_no_unit_may_write_where_code_lies_that_root_runs() -> None:
    writable = {
        place.lstrip("-+") for name in SERVICES for place in words(read_unit(name), "Service", "ReadWritePaths")
    }
    assert writable == {"/opt/openclaw/state", "/var/lib", "/var/log/openclaw-gateway"}
    run = {
        word
        for name in SERVICES
        for (section, key), values in read_unit(name).items()
        if section == "Service" and key.startswith("Exec")
        for value in values
        for word in value.split()
        if word.startswith("/opt/")
    }
    assert all(word.startswith("/opt/openclaw-agent/current/") for word in run)


def test_the_gateway_is_restarted_with_a_limit_and_not_on_bad_configuration() -> None:
    unit = read_unit("openclaw.service")
    assert unit["Service", "Restart"] == ["always"]
    assert int(unit["Unit", "StartLimitBurst"][0]) <= 10
    assert unit["Service", "RestartPreventExitStatus"] == ["78"]


def test_a_stop_of_the_gateway_leaves_time_for_the_final_backup_in_a_spot_notice() -> None:
    stop = int(read_unit("openclaw.service")["Service", "TimeoutStopSec"][0])
    backup_stop = int(read_unit("openclaw-s3-backup.service")["Service", "TimeoutStopSec"][0])
    assert stop + backup_stop <= 75


@pytest.mark.parametrize("name", SERVICES)
def test_python_is_called_by_the_installers_interpreter(name: str) -> None:
    for (section, key), values in read_unit(name).items():
        for value in values:
            if section == "Service" and key.startswith("Exec") and ".py" in value:
                assert value.lstrip("-").startswith("/usr/bin/python3.11 /")


@pytest.mark.parametrize("name", TIMERS)
def test_a_timer_names_its_service_and_a_calendar(name: str) -> None:
    unit = read_unit(name)
    assert unit["Timer", "Unit"] == [name.replace(".timer", ".service")]
    assert ("Timer", "OnCalendar") in unit
    assert unit["Install", "WantedBy"] == ["timers.target"]


def test_a_service_of_a_timer_is_not_started_at_boot() -> None:
    for name in TIMERS:
        assert ("Install", "WantedBy") not in read_unit(name.replace(".timer", ".service"))


def next_runs(expression: str, after: str, count: int) -> list[str]:
    command = ["systemd-analyze", "calendar", f"--base-time={after}", f"--iterations={count}", expression]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env={"TZ": "UTC", "LC_ALL": "C"}).stdout
    return re.findall(r"(?:Next elapse|Iter\S* #\d+): (?:\w{3} )?(\S+ \S+) UTC", shown)


@needs_systemd
@pytest.mark.subprocess
@pytest.mark.parametrize(
    ("name", "after", "runs"),
    [
        pytest.param(
            "openclaw-s3-backup.timer",
            "2026-02-27 23:19:59 UTC",
            ["2026-02-27 23:20:00", "2026-02-27 23:40:00", "2026-02-28 00:00:00"],
            id="backup at :00, :20 and :40",
        ),
        pytest.param(
            "openclaw-s3-lifecycle.timer",
            "2026-02-27 12:00:00 UTC",
            ["2026-02-28 00:10:00", "2026-03-01 00:10:00"],
            id="lifecycle daily after midnight",
        ),
        pytest.param(
            "openclaw-s3-drill.timer",
            "2026-02-27 12:00:00 UTC",
            ["2026-03-01 03:45:00", "2026-03-08 03:45:00"],
            id="a restore drill each Sunday night, between two backups",
        ),
        pytest.param(
            "openclaw-health.timer",
            "2026-02-27 12:00:00 UTC",
            ["2026-02-27 12:00:30", "2026-02-27 12:01:30"],
            id="health every minute, away from the backup",
        ),
        pytest.param(
            "openclaw-auto-approve.timer",
            "2026-02-27 12:00:00 UTC",
            ["2026-02-27 12:00:15", "2026-02-27 12:00:45"],
            id="approval twice a minute",
        ),
    ],
)
def test_the_timer_is_due_at(name: str, after: str, runs: list[str]) -> None:
    (expression,) = read_unit(name)["Timer", "OnCalendar"]
    assert next_runs(expression, after, len(runs)) == runs


def test_the_backup_timer_is_exact_and_catches_nothing_up() -> None:
    unit = read_unit("openclaw-s3-backup.timer")
    assert unit["Timer", "AccuracySec"] == ["1s"]
    assert ("Timer", "Persistent") not in unit


def test_the_lifecycle_also_runs_ten_minutes_after_boot_and_catches_up() -> None:
    unit = read_unit("openclaw-s3-lifecycle.timer")
    assert unit["Timer", "OnBootSec"] == ["10min"]
    assert unit["Timer", "Persistent"] == ["yes"]


def test_the_installer_enables_every_unit_that_wants_to_be() -> None:
    installer = (CLOUD_INIT / "install.sh").read_text(encoding="utf-8")
    arrays = re.findall(r"^readonly (?:timers|services)=\(([^)]*)\)", installer, re.MULTILINE)
    enabled = {name for array in arrays for name in array.split()}
    installable = {name for name in (*SERVICES, *TIMERS, *SOCKETS) if ("Install", "WantedBy") in read_unit(name)}
    assert installable - enabled == {"openclaw-auto-approve.timer"}
    assert enabled <= installable


def test_secrets_are_on_tmpfs_only() -> None:
    lines = (CLOUD_INIT / "tmpfiles.conf").read_text(encoding="utf-8").splitlines()
    assert "d /run/openclaw 0750 root root -" in lines
    assert not any("/opt" in line for line in lines)


def test_every_service_asks_the_metadata_service_more_than_once_and_for_more_than_a_second() -> None:
    patience = {"AWS_METADATA_SERVICE_TIMEOUT=5", "AWS_METADATA_SERVICE_NUM_ATTEMPTS=5"}
    of_all = words(read_settings(SHARED.with_name("metadata.conf")), "Service", "Environment")
    assert of_all == patience
    # The drop-in of a prefix that ends in a hyphen reaches all of them but this one.
    assert patience <= words(read_unit("openclaw.service"), "Service", "Environment")
    assert all(name == "openclaw.service" or name.startswith("openclaw-") for name in SERVICES)


def test_what_the_gateway_prints_goes_nowhere_but_through_the_relay_that_bounds_it() -> None:
    (fifo,) = read_unit("openclaw-gateway-log.socket")["Socket", "ListenFIFO"]
    assert read_unit("openclaw.service")["Service", "StandardOutput"] == [f"append:{fifo}"]
    # Made at each start of the machine, before any unit: a plain file in its place would fill the memory.
    assert f"p {fifo} 0600 root root -" in (CLOUD_INIT / "tmpfiles.conf").read_text().splitlines()
    assert read_unit("openclaw-gateway-log.service")["Service", "Restart"] == ["always"]


def test_nothing_dumps_a_core_nor_leaves_its_environment_in_the_journal() -> None:
    assert read_settings(SHARED)["Service", "LimitCORE"] == ["0"]
    # systemd-coredump writes the environment of what crashed, whatever the limit: it must not be asked at all.
    settings = (CLOUD_INIT / "sysctl.conf").read_text(encoding="utf-8").splitlines()
    assert "kernel.core_pattern = |/bin/false" in settings
    assert "/etc/sysctl.d/90-openclaw.conf" in (CLOUD_INIT / "install.sh").read_text(encoding="utf-8")
