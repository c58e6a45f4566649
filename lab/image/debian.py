"""Debian on the host's side: the packages that the lab needs here, and where this machine gets Debian from."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.host.commands import require_success, run_command
from lab.host.errors import RootImageFailed

OnStep = Callable[[str], None]
SUITE = "bookworm"
_UNATTENDED = {"DEBIAN_FRONTEND": "noninteractive"}
_SECONDS_FOR_APT = 600


@dataclass(frozen=True, slots=True)
class HostPackage:
    """A Debian package that the lab needs on the host, and what shows that it is there."""

    name: str
    is_installed: Callable[[], bool]


HOST_PACKAGES = (
    HostPackage("systemd-container", lambda: shutil.which("systemd-nspawn") is not None),
    HostPackage("mmdebstrap", lambda: shutil.which("mmdebstrap") is not None),
    HostPackage("iproute2", lambda: shutil.which("ip") is not None),
    HostPackage("debian-archive-keyring", Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists),
)


def install_host_packages(on_step: OnStep) -> tuple[str, ...]:
    """Installs what is missing with apt-get, says so, and returns the packages' names."""
    missing = tuple(package.name for package in HOST_PACKAGES if not package.is_installed())
    if not missing:
        return ()
    on_step(f"Installing Debian packages on this machine: {', '.join(missing)}")
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if run_command(install, timeout_seconds=_SECONDS_FOR_APT, environment=_UNATTENDED).exit_code != 0:
        refresh_package_lists(on_step)
        require_success(install, timeout_seconds=_SECONDS_FOR_APT, environment=_UNATTENDED)
    return missing


def refresh_package_lists(on_step: OnStep) -> None:
    """Asks the configured mirrors which packages there are."""
    on_step("Refreshing apt's package lists")
    require_success(["apt-get", "update"], timeout_seconds=_SECONDS_FOR_APT, environment=_UNATTENDED)


def debian_sources(on_step: OnStep) -> str:
    """Returns this machine's own sources for Debian 12, one `deb` line each; empty if it has none (Ubuntu).

    With none, mmdebstrap takes the mirror that it knows by itself.
    """
    lines = source_lines(_index_targets())
    if not lines and Path("/etc/debian_version").exists():
        refresh_package_lists(on_step)
        lines = source_lines(_index_targets())
    return "".join(f"{line}\n" for line in lines)


def source_lines(index_targets: str) -> tuple[str, ...]:
    """Turns rows of `origin|codename|release|component|uri` into `deb` lines for Debian 12 and its updates."""
    lines: dict[str, None] = {}
    for row in index_targets.splitlines():
        origin, codename, release, component, uri = row.split("|", 4)
        if origin == "Debian" and codename in _CODENAMES and component == "main":
            lines[f"deb {uri} {release} {component}"] = None
    return tuple(lines)


def apt_settings() -> tuple[str, ...]:
    """Returns the settings of the host's apt without which its mirrors may be out of reach (proxies, clock checks)."""
    kept = []
    for setting in _SETTINGS_TO_KEEP:
        value = require_success(["apt-config", "dump", "--format", "%v%n", setting]).strip()
        if value:
            kept.append(f'{setting} "{value}"')
    return tuple(kept)


def _index_targets() -> str:
    columns = "$(ORIGIN)|$(CODENAME)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)"
    listed = run_command(["apt-get", "indextargets", "--format", columns, "Identifier: Packages"])
    if listed.exit_code != 0:
        raise RootImageFailed(f"apt-get cannot list this machine's sources: {listed.stderr.strip()}")
    return listed.stdout


_CODENAMES = (SUITE, f"{SUITE}-updates", f"{SUITE}-security")
_SETTINGS_TO_KEEP = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)
