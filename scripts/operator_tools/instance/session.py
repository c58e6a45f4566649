"""A Session Manager session: a shell, or a port of the instance on this machine; through the user's own plugin."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from operator_tools.account.errors import AccountError
from operator_tools.stack.stack import Stack

PLUGIN = "session-manager-plugin"
INSTALL_PAGE = (
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"
)
FORWARDING = "AWS-StartPortForwardingSession"
_IN_ENVIRONMENT = "AWS_SSM_START_SESSION_RESPONSE"
_TAKES_ENVIRONMENT = (1, 2, 497, 0)
"""From this version on the plugin reads the session's token from the environment, and not where `ps` shows it."""


def find_plugin() -> str:
    """Return the plugin's path.

    Raises:
        AccountError: it is not installed.
    """
    path = shutil.which(PLUGIN)
    if path is None:
        raise AccountError(
            f"The Session Manager plugin is not installed. Next: brew install --cask {PLUGIN}, or see {INSTALL_PAGE}"
        )
    return path


def open_session(
    stack: Stack, instance_id: str, document: str = "", parameters: Mapping[str, list[str]] | None = None
) -> int:
    """Start a session and hand the terminal to the plugin until it ends; return its exit status.

    Raises:
        AccountError: there is no plugin, or AWS refused.
    """
    plugin = find_plugin()
    request: dict[str, Any] = {"Target": instance_id}
    if document:
        request |= {"DocumentName": document, "Parameters": dict(parameters or {})}
    client = stack.client("ssm")
    with stack.account.told_in_a_sentence("ssm", "StartSession"):
        answer = client.start_session(**request)
    session = json.dumps({name: answer[name] for name in ("SessionId", "TokenValue", "StreamUrl")})
    environment = dict(os.environ)
    if _version(plugin) >= _TAKES_ENVIRONMENT:
        environment[_IN_ENVIRONMENT] = session
        session = _IN_ENVIRONMENT
    profile = os.environ.get("AWS_PROFILE", "")
    words = [plugin, session, stack.region, "StartSession", profile, json.dumps(request), client.meta.endpoint_url]
    with subprocess.Popen(words, env=environment) as running:  # noqa: S603 - the user's own plugin
        while True:
            try:
                return running.wait()
            except KeyboardInterrupt:
                # The plugin has it too: it closes the session and ends, or hands the key to the shell.
                continue


def _version(plugin: str) -> tuple[int, ...]:
    told = subprocess.run([plugin, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r"\d+(\.\d+)+", told.stdout)
    return tuple(map(int, found[0].split("."))) if found else ()
