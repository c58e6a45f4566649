"""Boots real machines; needs root and a way to the packages of Debian, PyPI and npm (`make test-lab`)."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.host.cgroups import cgroup_folders
from lab.host.deadline import scaled
from lab.image.compose_file import read_compose_file
from lab.image.root_image import REPOSITORY, Gateway
from lab.machine.fleet import MachineFleet, MachinePlan
from lab.machine.machine import Machine
from lab.machine.network import NAMESPACES
from lab.moto.server import EmbeddedAws

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

REAL_UNIT = REPOSITORY / "cloud_init/units/openclaw.service"
BUCKET = "openclaw-lab-scripts-booted-123456789012"
SECRET = "a raw $ecret with 'quotes' and spaces"
MINIMAL_CONFIG = {"gateway": {"mode": "local", "bind": "lan"}}
LAB_THAT_STAYS = """
import signal
import time
# A shell's background jobs, such as some CI's, are born deaf to it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from lab.machine.fleet import MachineFleet, MachinePlan
with MachineFleet() as host:
    machine = host.add_machine(MachinePlan("i-0ddddddddddddddd1", "#cloud-config\\n{}\\n"), "http://127.0.0.1:1")
    machine.start()
    print(machine.name, machine.init_pid, machine.port.namespace_path, machine.disk.folder, flush=True)
    time.sleep(600)
"""
INSTANCE_IDS = ("i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2")


def user_data() -> str:
    """The deployed openclaw.service under the lab's drop-in, with stand-ins for the agent's two commands before it."""
    settings = {
        "write_files": [
            {"path": "/etc/written-by-cloud-init", "content": "hello\n", "permissions": "0640"},
            {"path": "/etc/openclaw/gateway.env", "content": "OPENCLAW_IMAGE=none\nOPENCLAW_MEMORY_LIMIT=1500m\n"},
            {"path": "/etc/systemd/system/openclaw.service", "content": REAL_UNIT.read_text()},
            {
                "path": "/etc/systemd/system/openclaw-s3-restore.service",
                "content": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
            },
            {
                "path": "/usr/local/bin/openclaw-fetch-secrets.py",
                "content": (
                    "import os\n"
                    "descriptor = os.open('/run/openclaw/.env', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)\n"
                    f"os.write(descriptor, {json.dumps('OPENCLAW_GATEWAY_TOKEN=' + SECRET)}.encode() + b'\\n')\n"
                    "open('/run/openclaw/multiline.env', 'w').close()\n"
                ),
            },
            {"path": "/usr/local/bin/openclaw-s3-restore.py", "content": "import sys\nsys.exit(0)\n"},
        ],
        "runcmd": [
            ["sh", "-c", "echo ran as $(id -un) > /etc/ran-by-cloud-init"],
            ["install", "-d", "-o", "1000", "-g", "1000", "-m", "0700", "/opt/openclaw/state/.openclaw"],
            ["ln", "-s", "state/.openclaw", "/opt/openclaw/.openclaw"],
            ["install", "-d", "-m", "0750", "/var/log/openclaw-gateway"],
            ["sh", "-c", f"echo '{json.dumps(MINIMAL_CONFIG)}' > /opt/openclaw/state/.openclaw/openclaw.json"],
            ["chown", "1000:1000", "/opt/openclaw/state/.openclaw/openclaw.json"],
            ["systemctl", "daemon-reload"],
            ["systemctl", "start", "--no-block", "openclaw.service"],
        ],
    }
    return f"#cloud-config\n{json.dumps(settings)}\n"


@pytest.fixture(scope="module")
def host() -> Iterator[MachineFleet]:
    with MachineFleet(on_step=print) as opened:
        yield opened


@pytest.fixture(scope="module")
def aws(host: MachineFleet) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(host=str(host.host_address)) as server:
        server.client("s3").create_bucket(Bucket=BUCKET)
        server.client("s3").put_object(Bucket=BUCKET, Key="hello.txt", Body=b"hello")
        yield server


@pytest.fixture(scope="module")
def machines(host: MachineFleet, aws: EmbeddedAws) -> tuple[Machine, ...]:
    made = tuple(host.add_machine(MachinePlan(name, user_data()), aws.endpoint_url) for name in INSTANCE_IDS)
    for machine in made:
        machine.start()
    return made


@pytest.fixture(scope="module")
def machine(machines: tuple[Machine, ...]) -> Machine:
    result = machines[0].wait_for_cloud_init()
    assert result.errors == ()
    print(f"cloud-init was done {result.seconds_after_start} s after the start")
    return machines[0]


def test_cloud_init_wrote_files_and_ran_commands_and_systemd_is_content(machine: Machine) -> None:
    assert machine.run(["cat", "/etc/written-by-cloud-init"]).stdout == "hello\n"
    assert machine.run(["stat", "-c", "%a", "/etc/written-by-cloud-init"]).stdout == "640\n"
    assert machine.run(["cat", "/etc/ran-by-cloud-init"]).stdout == "ran as root\n"
    machine.wait_for_gateway()
    assert machine.wait_until_booted() == "running"


def test_the_gateway_is_ready_under_the_deployed_unit_and_owns_its_state(machine: Machine, host: MachineFleet) -> None:
    print(f"the gateway was ready {machine.wait_for_gateway()} s after the start")
    state = machine.run(["stat", "-c", "%u:%g", "/opt/openclaw/state/.openclaw/state/openclaw.sqlite"])
    assert state.stdout == "1000:1000\n"
    assert machine.run(["sh", "-c", "ls /opt/openclaw/state/.openclaw/state"]).stdout.splitlines() == [
        "openclaw.sqlite",
        "openclaw.sqlite-shm",
        "openclaw.sqlite-wal",
    ]
    answer = machine.gateway_answer()
    assert answer is not None
    assert answer.get("standIn", False) is (host.image.gateway is Gateway.STAND_IN)


def test_the_gateway_runs_as_uid_1000_with_the_containers_environment_and_raw_secrets(machine: Machine) -> None:
    machine.wait_for_gateway()
    group = machine.run(["cat", "/sys/fs/cgroup/system.slice/openclaw.service/cgroup.procs"]).stdout.split()
    # The gateway starts and ends short-lived programs: one that is gone by now has no owner to tell.
    looks = [machine.run(["awk", "/^Uid:/ { print $2 }", f"/proc/{pid}/status"]) for pid in group]
    assert {look.stdout.strip() for look in looks if look.exit_code == 0} == {"1000"}
    printed = machine.run(["/usr/local/libexec/openclaw-as-gateway", "env"]).stdout.splitlines()
    assert f"OPENCLAW_GATEWAY_TOKEN={SECRET}" in printed
    assert not [line for line in printed if line.startswith("AWS_")]


def test_the_gateway_has_the_containers_limits_and_no_privilege(machine: Machine) -> None:
    machine.wait_for_gateway()
    container = read_compose_file()
    shown = machine.run(
        ["systemctl", "show", "openclaw.service", "-p", "TasksMax,TimeoutStopUSec,MemoryMax,MemorySwapMax"]
    ).stdout
    assert dict(line.split("=") for line in shown.splitlines()) == {
        "TasksMax": str(container.pids_limit),
        "TimeoutStopUSec": f"{container.stop_grace_seconds}s",
        # gateway.env's own limit, and the file's where gateway.env names none.
        "MemoryMax": str(1500 * 2**20),
        "MemorySwapMax": str((3600 - 1500) * 2**20),
    }
    (main_pid,) = machine.run(["systemctl", "show", "openclaw.service", "-p", "MainPID", "--value"]).stdout.split()
    status = machine.run(["cat", f"/proc/{main_pid}/status"]).stdout
    privileges = dict(line.split(":\t") for line in status.splitlines() if line.startswith(("Cap", "NoNewPrivs")))
    assert privileges.pop("NoNewPrivs") == "1"
    assert set(privileges.values()) == {"0" * 16}


def test_the_role_from_the_metadata_service_opens_s3(machine: Machine) -> None:
    listed = machine.run(["aws", "s3", "ls", f"s3://{BUCKET}/"])
    assert (listed.exit_code, listed.stderr) == (0, "")
    assert "hello.txt" in listed.stdout
    configured = machine.run(["aws", "configure", "list"]).stdout
    assert "iam-role" in configured


def test_each_machine_asks_its_own_metadata_service_and_hears_its_own_notice(machines: tuple[Machine, ...]) -> None:
    for machine in machines:
        assert ask_metadata(machine, "meta-data/instance-id") == machine.instance_id
    machines[1].imds.interrupt(datetime.now(UTC) + timedelta(minutes=2))
    assert '"terminate"' in ask_metadata(machines[1], "meta-data/spot/instance-action")
    assert ask_metadata(machines[0], "meta-data/spot/instance-action") == ""


def test_a_machine_reaches_nothing_but_the_lab(machine: Machine) -> None:
    routes = machine.run(["ip", "route"]).stdout
    assert "default" not in routes
    assert machine.run(["curl", "--silent", "--max-time", "2", "http://192.0.2.1/"]).exit_code == 7


def test_the_gateway_is_frozen_and_thawed(machine: Machine) -> None:
    machine.wait_for_gateway()
    events = "/sys/fs/cgroup/system.slice/openclaw.service/cgroup.events"
    assert machine.run(["systemctl", "freeze", "openclaw.service"]).exit_code == 0
    assert "frozen 1" in machine.run(["cat", events]).stdout
    assert machine.run(["systemctl", "thaw", "openclaw.service"]).exit_code == 0
    assert "frozen 0" in machine.run(["cat", events]).stdout
    machine.wait_for_gateway(timeout_seconds=20)


def test_a_partitioned_machine_loses_aws_but_not_its_metadata(machine: Machine, aws: EmbeddedAws) -> None:
    ask_aws = ["curl", "--silent", "--output", "/dev/null", "--max-time", "2", aws.endpoint_url]
    machine.partition()
    assert machine.run(ask_aws).exit_code == 28
    assert ask_metadata(machine, "meta-data/instance-id") == machine.instance_id
    machine.heal()
    assert machine.run(ask_aws).exit_code == 0


@pytest.mark.parametrize(
    ("packages", "exit_code"),
    [(["python3.11", "jq", "logrotate", "amazon-cloudwatch-agent"], 0), (["docker"], 1), (["no-such-package"], 1)],
    ids=["what the installer wants", "docker", "unknown"],
)
def test_dnf_knows_what_the_root_holds_and_nothing_else(machine: Machine, packages: list[str], exit_code: int) -> None:
    installed = machine.run(["dnf", "-y", "install", *packages])
    assert installed.exit_code == exit_code
    assert ("Unable to find a match" in installed.stderr) is (exit_code != 0)


def test_the_cloudwatch_agent_starts_on_a_good_configuration_alone(machine: Machine) -> None:
    control = "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl"
    fetch = [control, "-a", "fetch-config", "-m", "ec2", "-s", "-c", "file:/run/cloudwatch.json"]
    machine.run(["tee", "/run/cloudwatch.json"], input_text='{"logs": {"logs_collected"')
    refused = machine.run(fetch)
    assert (refused.exit_code, "it is not JSON" in refused.stderr) == (1, True)
    machine.run(["tee", "/run/cloudwatch.json"], input_text='{"agent": {"metrics_collection_interval": 60}}')
    assert machine.run(fetch).exit_code == 0
    assert machine.run(["systemctl", "is-active", "amazon-cloudwatch-agent.service"]).stdout == "active\n"


def test_hardened_units_know_which_boot_this_is_and_that_a_reboot_is_another(machine: Machine) -> None:
    def seen_by_a_unit() -> str:
        hardened = ["systemd-run", "--quiet", "--pipe", "--wait", "-p", "ProtectProc=invisible"]
        return machine.run([*hardened, "printenv", "OPENCLAW_BOOT_ID"]).stdout

    before = seen_by_a_unit()
    assert before == machine.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout
    machine.reboot()
    machine.wait_for_cloud_init()
    assert seen_by_a_unit() != before


def test_a_reboot_keeps_the_disk_and_runs_no_user_data_again(machine: Machine) -> None:
    machine.run(["sh", "-c", "echo kept > /etc/kept; rm /etc/ran-by-cloud-init"])
    machine.reboot()
    assert machine.wait_for_cloud_init().succeeded
    assert machine.run(["cat", "/etc/kept"]).stdout == "kept\n"
    assert machine.run(["test", "-e", "/etc/ran-by-cloud-init"]).exit_code == 1


def test_what_fails_in_the_user_data_is_told(host: MachineFleet, aws: EmbeddedAws) -> None:
    broken = host.add_machine(
        MachinePlan("i-0bbbbbbbbbbbbbbb1", "#cloud-config\nruncmd: ['false']\n"), aws.endpoint_url
    )
    broken.start()
    assert not broken.wait_for_cloud_init().succeeded
    host.remove_machine(broken.instance_id)


def test_a_power_cut_ends_all_at_once_and_removing_leaves_nothing(
    machines: tuple[Machine, ...], host: MachineFleet
) -> None:
    machine = machines[1]
    machine.wait_for_cloud_init()
    init = machine.init_pid
    machine.run(["systemctl", "freeze", "openclaw.service"])
    machine.power_cut()
    assert not machine.is_running
    assert not Path(f"/proc/{init}").exists()
    host.remove_machine(machine.instance_id)
    assert not machine.disk.folder.exists()
    assert not machine.port.namespace_path.exists()
    assert cgroup_folders(machine.name) == ()
    assert machine.name.encode() not in Path("/proc/self/mountinfo").read_bytes()
    assert machines[0].is_running


def test_leaving_the_host_removes_the_network_and_every_machine(aws: EmbeddedAws) -> None:
    with MachineFleet() as second:
        machine = second.add_machine(MachinePlan("i-0ccccccccccccccc1", "#cloud-config\n{}\n"), aws.endpoint_url)
        machine.start()
        prefix = machine.name.split("-")[0]
    assert not machine.is_running
    assert not list(NAMESPACES.glob(f"{prefix}-*"))
    assert not Path("/sys/class/net", prefix).exists()
    assert not list(second.disks.glob(f"{prefix}-*"))
    assert subprocess.run(["ip", "link", "show", prefix], capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_what_a_lab_leaves_behind_is_gone_when_the_next_one_has_begun(ending: signal.Signals) -> None:
    lab = subprocess.Popen([sys.executable, "-c", LAB_THAT_STAYS], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert lab.stdout is not None
    name, init, namespace, disk = lab.stdout.readline().split()
    lab.send_signal(ending)
    lab.wait(timeout=scaled(60))
    lab.stdout.close()
    with MachineFleet():
        assert not Path("/proc", init).exists()
        assert not Path(namespace).exists()
        assert not Path(disk).exists()
        assert cgroup_folders(name) == ()


def ask_metadata(machine: Machine, path: str) -> str:
    base = "http://169.254.169.254/latest"
    token = machine.run(
        ["curl", "-s", "-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60", f"{base}/api/token"]
    ).stdout
    return machine.run(["curl", "-s", "-H", f"X-aws-ec2-metadata-token: {token}", f"{base}/{path}"]).stdout
