#!/usr/bin/env python3
"""The stand-in for AWS's session-manager-plugin: enters a machine of the lab, or brings a port of it to this host.

It is called as the AWS CLI calls the real one. LAB_MACHINES names a JSON file: the pid of each instance's init.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

VERSION = "1.2.999.0"
PIPE = """
import os, socket, sys, threading
there = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def send():
    while block := os.read(0, 65536):
        there.sendall(block)
    there.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while block := there.recv(65536):
    os.write(1, block)
"""


def main(words: list[str]) -> int:
    """Do what the session was asked for."""
    if words == ["--version"]:
        print(VERSION)
        return 0
    session, _region, _operation, _profile, request_text, _endpoint = words
    answer = json.loads(os.environ.get(session, session))
    if not answer["SessionId"] or not answer["TokenValue"]:
        print("The session has no id or no token.", file=sys.stderr)
        return 1
    request = json.loads(request_text)
    pid = json.loads(Path(os.environ["LAB_MACHINES"]).read_text())[request["Target"]]
    enter = ["nsenter", "--target", str(pid), "-m", "-p", "-u", "-i", "-n", "-C", "--"]
    if request.get("DocumentName") != "AWS-StartPortForwardingSession":
        return subprocess.run([*enter, "/bin/bash", "--login"], check=False).returncode  # noqa: S603
    (there,), (here,) = request["Parameters"]["portNumber"], request["Parameters"]["localPortNumber"]
    return _forward(pid, there, int(here))


def _forward(pid: int, there: str, here: int) -> int:
    network = ["nsenter", "--target", str(pid), "-n", "--", sys.executable, "-c", PIPE, there]
    with socket.create_server(("127.0.0.1", here)) as listener:
        print(f"Port {here} opened for sessionId lab.\nWaiting for connections...", flush=True)
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                connection, _address = listener.accept()
                threading.Thread(target=_serve, args=(connection, network), daemon=True).start()
                continue
            return 0


def _serve(connection: socket.socket, network: list[str]) -> None:
    with connection:
        subprocess.run(network, stdin=connection.fileno(), stdout=connection.fileno(), check=False)  # noqa: S603


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
