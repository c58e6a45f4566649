"""The Pulumi CLI on the embedded AWS: where it is, what it is told, and its commands.

It finds the provider by PULUMI_DEBUG_PROVIDERS, our language host among its plugins, and its state in a folder of ours;
it reaches nothing but loopback.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.moto.server import EmbeddedAws
from lab.resources.errors import EngineError

REPOSITORY = Path(__file__).resolve().parents[2]
BUILT = REPOSITORY / ".cache" / "pulumi" / "pulumi"
"""Where `make pulumi-cli` puts it."""

LANGUAGE_HOST = Path("language-python-v0.0.0-lab") / "pulumi-language-python"
"""A plugin's folder and program as the CLI names them; the version is below any that Pulumi ever released."""


def find_cli() -> Path | None:
    """Return the CLI on the PATH, else the one that was built, else None."""
    found = shutil.which("pulumi")
    if found is not None:
        return Path(found)
    return BUILT if os.access(BUILT, os.X_OK) else None


def provide_language_host(home: Path) -> None:
    """Install the language host as a plugin of this PULUMI_HOME.

    An official CLI has its own host beside it and takes that; the one that is built out of the module has none. A host
    on the PATH would be taken before either, with a warning in each output.
    """
    host = home / "plugins" / LANGUAGE_HOST
    host.parent.mkdir(parents=True, exist_ok=True)
    host.write_text(
        f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(REPOSITORY))}${{PYTHONPATH:+:$PYTHONPATH}} "
        f'exec {shlex.quote(sys.executable)} -m lab.provider.language_host "$@"\n'
    )
    host.chmod(0o755)


def cli_environment(aws: EmbeddedAws, attached: str, folder: Path, cli: Path) -> dict[str, str]:
    """Return the variables with which a typed `pulumi` works on the embedded AWS; `folder` keeps its state."""
    home, stacks = folder / "home", folder / "stacks"
    for each in (home, stacks):
        each.mkdir(parents=True, exist_ok=True)
    provide_language_host(home)
    return {
        **aws.environment,
        "PATH": os.pathsep.join([str(cli.parent), os.environ.get("PATH", "")]),
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{stacks}",
        "PULUMI_CONFIG_PASSPHRASE": "lab",
        "PULUMI_DEBUG_PROVIDERS": attached,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
    }


def run_cli(cli: Path, environment: Mapping[str, str], project: Path, *words: str) -> str:
    """Run one command of the CLI in a project's folder and return what it printed.

    Raises:
        EngineError: it failed; the message is what it said after "error:", else all of it.
    """
    done = subprocess.run(  # noqa: S603 - the CLI that was found, and words of our own
        [str(cli), *words, "--non-interactive", "--color", "never"],
        cwd=project,
        env=os.environ | dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = [line.partition("error:")[2].strip() for line in done.stdout.splitlines() if "error:" in line]
        # Each is said as it happens, and again at the end.
        raise EngineError(" ".join(dict.fromkeys(said)) or done.stdout.strip())
    return done.stdout
