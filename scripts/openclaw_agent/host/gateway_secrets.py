"""Fetch the gateway's secrets from SSM into files on tmpfs, at every start, never onto a disk.

Two files, because what a line of an environment file means raw (all of it is the value) has no room for line breaks:
the values of one line are in the first, those of several lines (a PEM key) in the second, in quotes.
"""

import grp
import os
import re
from dataclasses import dataclass
from pathlib import Path

from openclaw_agent.errors import AgentError, LocalStorageError, UsageError
from openclaw_agent.fs.atomic import replace_file
from openclaw_agent.settings import Settings

TOKEN_NAME = "OPENCLAW_GATEWAY_TOKEN"  # noqa: S105 - the variable's name
MULTILINE_FILE = "multiline.env"
"""The name of the second file, which lies beside the first."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE_BREAKS = "\r\n"
# What compose reads in double quotes (and the lab's unit after it): no other character means anything there.
_IN_QUOTES = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Secret:
    """One environment variable of the gateway."""

    name: str
    value: str

    @property
    def has_lines(self) -> bool:
        """Whether the value has a line break in it."""
        return any(character in self.value for character in _LINE_BREAKS)


def fetch_secrets(settings: Settings) -> list[Secret]:
    """All parameters directly below the secrets path, decrypted, sorted by name.

    Raises:
        UsageError: when no path is configured.
        AgentError: when they cannot be fetched, the gateway's token is not among them, or one cannot be an
            environment variable; values never appear in the message.
    """
    path = settings.secrets_path
    if not path:
        raise UsageError("No secrets path: the settings file has no secrets_path.")
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        ssm = boto3.client(
            "ssm",
            region_name=settings.region,
            config=Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 6}),
        )
        pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path, WithDecryption=True, Recursive=False)
        found = [
            Secret(row["Name"].rsplit("/", 1)[-1], without_the_files_end(row["Value"]))
            for page in pages
            for row in page["Parameters"]
        ]
    except (BotoCoreError, ClientError) as problem:
        raise AgentError(
            f"The secrets below {path} cannot be fetched ({_code(problem)}); check the role's policy and the network."
        ) from problem
    for secret in found:
        _require_usable(secret, path)
    if TOKEN_NAME not in {secret.name for secret in found}:
        raise AgentError(
            f"There is no {TOKEN_NAME} below {path}; create it with: aws ssm put-parameter --type SecureString "
            f'--name {path.rstrip("/")}/{TOKEN_NAME} --value "$(openssl rand -hex 32)"'
        )
    return sorted(found, key=lambda secret: secret.name)


def _require_usable(secret: Secret, path: str) -> None:
    if not _NAME.fullmatch(secret.name):
        raise AgentError(
            f"The parameter {path.rstrip('/')}/{secret.name} cannot be an environment variable; its name may hold "
            "letters, digits and _ only."
        )
    if "\0" in secret.value:
        raise AgentError(
            f"The value of {path.rstrip('/')}/{secret.name} has a NUL character; no environment variable can."
        )
    if secret.name == TOKEN_NAME and (secret.has_lines or not secret.value):
        raise AgentError(
            f"The value of {path.rstrip('/')}/{TOKEN_NAME} has more than one line or none; a token is one line of text."
        )


def without_the_files_end(value: str) -> str:
    """The value without the line break with which editors and `--value file://token` end a line.

    A value of several lines is left exactly as it is: a PEM file ends in a line break of its own.
    """
    line = value.rstrip(_LINE_BREAKS)
    return value if any(character in line for character in _LINE_BREAKS) else line


def _code(problem: Exception) -> str:
    response = getattr(problem, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    return str(code or type(problem).__name__)


def write_secrets(found: list[Secret], target: Path) -> None:
    """Replace both environment files, each in one step: 0640 for the docker group where there is one, else 0600.

    Raises:
        LocalStorageError: when it cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise LocalStorageError(f"The folder {target.parent} cannot be created ({problem.strerror}).") from problem
    quoted = [f'{secret.name}="{secret.value.translate(_IN_QUOTES)}"\n' for secret in found if secret.has_lines]
    raw = [f"{secret.name}={secret.value}\n" for secret in found if not secret.has_lines]
    for file, lines in ((target.with_name(MULTILINE_FILE), quoted), (target, raw)):
        replace_file(file, [line.encode() for line in lines], mode=0o600)
        group = _docker_group()
        if group is not None and os.geteuid() == 0:
            os.chown(file, 0, group)
            file.chmod(0o640)


def _docker_group() -> int | None:
    try:
        return grp.getgrnam("docker").gr_gid
    except KeyError:
        return None
