"""`openclaw-lab tunnel`: the gateway's port on this machine."""

import argparse
import socket

from openclaw_agent.host.gateway_secrets import TOKEN_NAME
from openclaw_ec2_spot.connecting import GATEWAY_PORT
from operator_tools.account.errors import AccountError, ExitCode
from operator_tools.instance.session import FORWARDING, find_plugin, open_session
from operator_tools.program.output import Output
from operator_tools.stack.stack import Stack


class PortTaken(AccountError):
    """Something else listens on the port of this machine."""

    exit_code = ExitCode.USAGE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own flags."""
    parser.add_argument(
        "--port", type=_port, default=GATEWAY_PORT, help=f"the port on this machine (default: {GATEWAY_PORT})"
    )


def run(options: argparse.Namespace, out: Output) -> int:
    """Forward the port until Ctrl-C."""
    stack = Stack.of(options)
    find_plugin()
    instance = stack.instance()
    _require_free(options.port)
    url = f"http://localhost:{options.port}/"
    out.document({"url": url, "instance": instance, "token": stack.scope.secrets_path + TOKEN_NAME})
    out.say(
        f"{url} is the gateway on {instance} as long as this runs; Ctrl-C ends the tunnel only.",
        f"Its token:        {stack.words(f'secrets show {TOKEN_NAME}')}",
        f"A browser that says 'pairing required': {stack.words('devices')}, then {stack.words('devices approve ID')}",
        "Then say hello.",
    )
    ports = {"portNumber": [str(GATEWAY_PORT)], "localPortNumber": [str(options.port)]}
    return open_session(stack, instance, FORWARDING, ports)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        # As the plugin binds: what was closed a moment ago is no listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise PortTaken(
                f"Port {port} of this machine is in use (another tunnel?). Next: openclaw-lab tunnel --port {port + 1}"
            ) from None


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1024 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; allowed is 1024 to 65535")
    return int(text)
