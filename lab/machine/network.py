"""The lab's network: a bridge on the host, and for each instance a network namespace joined to it by a cable.

There is no NAT and no route beyond the bridge: an instance reaches the embedded AWS on the bridge's address, its own
metadata service, and nothing else. That service listens inside the instance's namespace, so the host's own
169.254.169.254 is never touched and it keeps answering while the cable is unplugged, as EC2's does.
"""

import ctypes
import os
import socket
import threading
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from lab.host.commands import require_success, run_command
from lab.host.deadline import Deadline
from lab.host.errors import MachineFailed
from lab.machine.imds import IMDS_ADDRESS, IMDS_PORT

NAMESPACES = Path("/run/netns")
FIRST_INSTANCE = 10
LAST_INSTANCE = 250
INTERFACES = Path("/sys/class/net")
SECONDS_UNTIL_PACKETS_PASS = 10
_FORWARDING = "3"  # BR_STATE_FORWARDING of linux/if_bridge.h
_CLONE_NEWNET = 0x40000000


def subnet_of(number: int) -> IPv4Network:
    """Returns the private range of lab number 0 to 255."""
    return IPv4Network(f"10.77.{number}.0/24")


@dataclass(frozen=True, slots=True)
class Port:
    """Where one instance is plugged in: its namespace, its cable's end on the host, its address."""

    namespace: str
    cable: str
    address: IPv4Address

    @property
    def namespace_path(self) -> Path:
        """The file that names the network namespace."""
        return NAMESPACES / self.namespace

    def listen_for_metadata(self) -> socket.socket:
        """Returns a socket that listens at 169.254.169.254:80 as seen from the instance alone."""
        return listen_in_namespace(self.namespace_path, IMDS_ADDRESS, IMDS_PORT)

    def unplug(self) -> None:
        """Cuts the instance off: packets vanish in both directions, connections stay open and stall."""
        require_success(["ip", "link", "set", self.cable, "down"])

    def plug_in(self) -> None:
        """Joins the instance to the network again; returns once packets pass."""
        require_success(["ip", "link", "set", self.cable, "up"])
        forwards = INTERFACES / self.cable / "brport/state"
        deadline = Deadline(SECONDS_UNTIL_PACKETS_PASS)
        while forwards.read_text().strip() != _FORWARDING:
            if deadline.passed():
                raise MachineFailed(f"The cable of {self.namespace} carries nothing after it was plugged in.")
            time.sleep(0.02)
        # What could not be asked for while it was unplugged counts as unreachable for some seconds more.
        require_success(["ip", "-netns", self.namespace, "neighbour", "flush", "dev", "eth0"])
        require_success(["ip", "neighbour", "flush", "to", str(self.address)])


class LabNetwork:
    """The bridge of one lab, named after its prefix, with the ports of its instances."""

    def __init__(self, prefix: str, number: int) -> None:
        self.bridge = prefix
        self.subnet = subnet_of(number)
        self.host_address = self.subnet[1]
        self._ports: set[Port] = set()

    def open(self) -> None:
        """Creates the bridge with the host's address on it."""
        require_success(["ip", "link", "add", self.bridge, "type", "bridge"])
        require_success(["ip", "address", "add", f"{self.host_address}/{self.subnet.prefixlen}", "dev", self.bridge])
        require_success(["ip", "link", "set", self.bridge, "up"])

    def add_port(self, name: str) -> Port:
        """Creates a namespace with a fixed address, joined to the bridge, for the instance of this name."""
        number = self._free_number()
        port = Port(f"{self.bridge}-{name}", f"{self.bridge}v{number}", self.subnet[number])
        inside = ["ip", "-netns", port.namespace]
        require_success(["ip", "netns", "add", port.namespace])
        self._ports.add(port)
        require_success(
            ["ip", "link", "add", port.cable, "type", "veth", "peer", "name", "eth0", "netns", port.namespace]
        )
        require_success(["ip", "link", "set", port.cable, "master", self.bridge, "up"])
        require_success([*inside, "address", "add", f"{port.address}/{self.subnet.prefixlen}", "dev", "eth0"])
        require_success([*inside, "address", "add", f"{IMDS_ADDRESS}/32", "dev", "lo"])
        require_success([*inside, "link", "set", "lo", "up"])
        require_success([*inside, "link", "set", "eth0", "up"])
        return port

    def remove_port(self, port: Port) -> None:
        """Removes an instance's cable and namespace; one that is gone already is no error."""
        self._ports.discard(port)
        run_command(["ip", "link", "delete", port.cable])
        run_command(["ip", "netns", "delete", port.namespace])

    def close(self) -> None:
        """Removes every port and the bridge."""
        for port in tuple(self._ports):
            self.remove_port(port)
        run_command(["ip", "link", "delete", self.bridge])

    def _free_number(self) -> int:
        taken = {port.address for port in self._ports}
        for number in range(FIRST_INSTANCE, LAST_INSTANCE + 1):
            if self.subnet[number] not in taken:
                return number
        raise MachineFailed(f"The lab's network {self.subnet} has no free address left.")


def enter_namespace(namespace: Path) -> None:
    """Moves the calling thread, and it alone, into another network namespace; raises OSError if it cannot."""
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)


def listen_in_namespace(namespace: Path, address: str, port: int) -> socket.socket:
    """Returns a listening TCP socket that belongs to another network namespace, whoever accepts on it.

    A namespace is entered by one thread alone, so a thread is started for it and thrown away.
    """
    listeners: list[socket.socket] = []
    failures: list[OSError] = []

    def enter_and_listen() -> None:
        try:
            enter_namespace(namespace)
            listeners.append(socket.create_server((address, port), backlog=64))
        except OSError as error:
            failures.append(error)

    visitor = threading.Thread(target=enter_and_listen)
    visitor.start()
    visitor.join()
    if failures:
        raise MachineFailed(f"Cannot listen at {address}:{port} in {namespace}: {failures[0]}.") from failures[0]
    return listeners[0]
