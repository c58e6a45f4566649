"""What machines run on: this lab's place on the host, its network, its root image, and every machine of it."""

import atexit
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.host.capabilities import Feature, capabilities, inspect_host
from lab.host.errors import MachineFailed
from lab.host.gateway_engine import GatewayEngine, chosen_engine
from lab.image.compose_file import read_compose_file
from lab.image.compose_unit import unit_settings
from lab.image.debian import OnStep, install_host_packages
from lab.image.root_image import RootImage, cache_folder, obtain_root_image
from lab.machine.disk import ENGINE_FILES, create_disk, put_root_files, put_seed
from lab.machine.imds import ImdsServer
from lab.machine.imds_answers import InstanceIdentity
from lab.machine.machine import Machine
from lab.machine.network import LabNetwork
from lab.machine.slot import Slot, take_slot

# What install.sh and the agent go by; on the deployed instance they are not set, and mean Docker.
ENGINE_SETTINGS = {
    GatewayEngine.UNIT: {
        "gateway_engine": "native",
        "freezer": "systemd:openclaw.service",
        "gateway_cli": "/usr/local/libexec/openclaw-gateway-cli",
    },
    # Nothing: the deployed command finds the container by itself.
    GatewayEngine.DOCKER: {"gateway_engine": "docker", "freezer": "compose:openclaw", "gateway_cli": ""},
}
_EC2_ARCHITECTURES = {"aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """What a machine is to be: everything that EC2 would know of the instance."""

    instance_id: str
    user_data: str
    region: str = "us-east-1"
    availability_zone: str = "us-east-1a"
    instance_type: str = "t4g.small"
    role: str = "openclaw-lab"
    image_id: str = "ami-00000000000000000"


class MachineFleet:
    """A context in which machines exist; leaving it leaves nothing of them on the host.

    Entering installs missing Debian packages, takes a place, builds or finds the root, and makes the network. `on_step`
    hears one sentence for each step. The embedded AWS is then to be started on `host_address`, and its endpoint given
    to `add_machine`. Ctrl-C and errors leave by the same door; after a SIGKILL of the lab the next one cleans up.
    """

    def __init__(
        self, on_step: OnStep = lambda message: None, cache: Path | None = None, engine: GatewayEngine | None = None
    ) -> None:
        """Takes what runs the gateway on the machines; without it OPENCLAW_LAB_ENGINE says so, else it is a unit."""
        self.engine = engine or chosen_engine()
        self._on_step = on_step
        self._cache = cache or cache_folder()
        self._slot: Slot | None = None
        self._network: LabNetwork | None = None
        self._image: RootImage | None = None
        self._machines: dict[str, Machine] = {}

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Makes everything ready for machines; raises MachineFailed with the reason where they cannot run here."""
        booting = next(row for row in capabilities(inspect_host()) if row.feature is Feature.MACHINE)
        if not booting.can_run:
            raise MachineFailed(f"The instance cannot be booted here: {booting.reason}.")
        atexit.register(self.close)
        try:
            install_host_packages(self._on_step)
            self._image = obtain_root_image(self._cache, self._on_step, self.engine)
            self.disks.mkdir(parents=True, exist_ok=True)
            self._slot = take_slot(self.disks)
            self._network = LabNetwork(self._slot.prefix, self._slot.number)
            self._network.open()
        except BaseException:
            self.close()
            raise

    @property
    def disks(self) -> Path:
        """The folder of the machines' disks."""
        return self._cache / "machines"

    @property
    def image(self) -> RootImage:
        """The root that machines boot from."""
        if self._image is None:
            raise MachineFailed("The machine host is not open.")
        return self._image

    @property
    def host_address(self) -> IPv4Address:
        """Where machines reach this host: what the embedded AWS has to listen on."""
        return self._open_network().host_address

    @property
    def machines(self) -> Mapping[str, Machine]:
        """The machines by their instance ids, running or not."""
        return dict(self._machines)

    def only_machine(self) -> Machine:
        """Returns the one machine there is; raises MachineFailed when there is none or more than one."""
        if len(self._machines) != 1:
            found = ", ".join(self._machines) or "none"
            raise MachineFailed(f"One machine was expected, and there are {len(self._machines)}: {found}.")
        return next(iter(self._machines.values()))

    def add_machine(self, plan: MachinePlan, endpoint_url: str) -> Machine:
        """Creates a machine with a new disk, powered off; `endpoint_url` is the embedded AWS as machines reach it."""
        if plan.instance_id in self._machines:
            raise MachineFailed(f"There is a machine for {plan.instance_id} already.")
        network = self._open_network()
        short_name = plan.instance_id.removeprefix("i-")[-8:]
        port = network.add_port(short_name)
        disk = create_disk(self.disks / f"{network.bridge}-{short_name}", self.image)
        try:
            container = read_compose_file()
            host_name = f"ip-{str(port.address).replace('.', '-')}"
            if self.engine is GatewayEngine.UNIT and container.host_name:
                # A unit sees the instance's name. OpenClaw takes a dead owner's lease over only under the same one.
                host_name = container.host_name
            settings = {"endpoint_url": endpoint_url, **ENGINE_SETTINGS[self.engine], **unit_settings(container)}
            put_root_files(disk, settings)
            put_root_files(disk, settings, ENGINE_FILES[self.engine])
            put_seed(disk, plan.instance_id, host_name, plan.user_data)
            imds = ImdsServer(_identity(plan, port.address), port.listen_for_metadata())
        except BaseException:
            disk.remove()
            network.remove_port(port)
            raise
        machine = Machine(f"{network.bridge}-{short_name}", plan.instance_id, disk, port, imds, self.engine)
        self._machines[plan.instance_id] = machine
        return machine

    def remove_machine(self, instance_id: str) -> None:
        """Ends a machine at once if it still runs, and removes its disk, its port and its metadata service."""
        machine = self._machines.pop(instance_id)
        machine.power_cut()
        machine.imds.close()
        self._open_network().remove_port(machine.port)
        machine.disk.remove()

    def close(self) -> None:
        """Ends and removes every machine, the network and the place; closing twice is harmless."""
        for instance_id in list(self._machines):
            self.remove_machine(instance_id)
        if self._network is not None:
            self._network.close()
            self._network = None
        if self._slot is not None:
            self._slot.give_up()
            self._slot = None
        atexit.unregister(self.close)

    def _open_network(self) -> LabNetwork:
        if self._network is None:
            raise MachineFailed("The machine host is not open.")
        return self._network


def _identity(plan: MachinePlan, address: IPv4Address) -> InstanceIdentity:
    return InstanceIdentity(
        instance_id=plan.instance_id,
        instance_type=plan.instance_type,
        region=plan.region,
        availability_zone=plan.availability_zone,
        local_ipv4=str(address),
        role=plan.role,
        image_id=plan.image_id,
        architecture=_EC2_ARCHITECTURES.get(platform.machine(), platform.machine()),
        user_data=plan.user_data,
    )
