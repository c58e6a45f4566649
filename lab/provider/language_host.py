"""Runs Python programs for the Pulumi CLI: the executable `pulumi-language-python` of its plugin `language-python`.

The official one is a Go program that comes with the CLI's own packages, not with its Go module. This one answers the
same protocol (pulumi/proto/language.proto) with what Pulumi's Python SDK has for running a program. The CLI starts it
as `pulumi-language-python [flags] ENGINE_ADDRESS`, and reads the port from its first line.
"""

from __future__ import annotations

import asyncio
import os
import platform
import runpy
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc  # type: ignore[import-untyped]
import pulumi
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi import runtime
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

LARGEST_MESSAGE = 400 * 1024 * 1024


class PythonHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs one program in this process, which ends with it."""

    def __init__(self, engine: str) -> None:
        self._engine = engine

    def Handshake(self, _request: Any, _context: Any) -> Any:
        """Say nothing of features: none is needed."""
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, _request: Any, _context: Any) -> Any:
        """Say nothing of a version."""
        return plugin_pb2.PluginInfo()

    def GetRequiredPlugins(self, _request: Any, _context: Any) -> Any:
        """Name no plugin to fetch: the provider is attached."""
        return language_pb2.GetRequiredPluginsResponse()

    def GetRequiredPackages(self, _request: Any, _context: Any) -> Any:
        """Name no package to fetch: the provider is attached."""
        return language_pb2.GetRequiredPackagesResponse()

    def About(self, _request: Any, _context: Any) -> Any:
        """Say which Python this is."""
        return language_pb2.AboutResponse(executable=sys.executable, version=platform.python_version())

    def Run(self, request: Any, _context: Any) -> Any:
        """Run the program in its folder; a `pulumi.RunError` is told as a sentence, all else with its traceback."""
        program = request.info.program_directory or request.pwd
        os.chdir(program)
        runtime.reset_options(
            project=request.project,
            stack=request.stack,
            monitor_address=request.monitor_address,
            engine_address=self._engine,
            parallel=request.parallel,
            preview=request.dryRun,
            organization=request.organization or "organization",
        )
        runtime.set_all_config(dict(request.config), list(request.configSecretKeys))
        loop = asyncio.new_event_loop()
        loop.set_default_executor(ThreadPoolExecutor(max(request.parallel, 1) * 4))
        # What depends on a refused resource ends unobserved; the refusal itself is reported.
        loop.set_exception_handler(lambda _loop, _context: None)
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(runtime.run_in_stack(lambda: _run(program)))
        except pulumi.RunError as refusal:
            pulumi.log.error(str(refusal))
            return language_pb2.RunResponse(bail=True)
        except grpc.RpcError as error:
            # The engine has told already why it refused something, or is shutting down.
            return language_pb2.RunResponse(bail=error.code() != grpc.StatusCode.UNKNOWN, error=error.details() or "")
        except Exception:  # noqa: BLE001 - whatever the program raised is shown by the CLI
            return language_pb2.RunResponse(error=f"The program failed:\n{traceback.format_exc()}")
        return language_pb2.RunResponse()

    def InstallDependencies(self, _request: Any, _context: Any) -> Any:
        """Install nothing: the programs run in this interpreter's environment."""
        return iter(())

    def GetProgramDependencies(self, _request: Any, _context: Any) -> Any:
        """Name none; only `pulumi about` asks."""
        return language_pb2.GetProgramDependenciesResponse()

    def RuntimeOptionsPrompts(self, _request: Any, _context: Any) -> Any:
        """Ask nothing; only `pulumi new` does."""
        return language_pb2.RuntimeOptionsResponse()

    def Cancel(self, _request: Any, _context: Any) -> Any:
        """Nothing waits here."""
        return empty_pb2.Empty()


def _run(program: str) -> None:
    runpy.run_path(program, run_name="__main__")


def main() -> NoReturn:
    """Serve until the CLI ends this process."""
    limits = [("grpc.max_receive_message_length", LARGEST_MESSAGE), ("grpc.max_send_message_length", LARGEST_MESSAGE)]
    server = grpc.server(ThreadPoolExecutor(4), options=limits)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(PythonHost(sys.argv[-1]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # So the CLI ends its plugins, and kills one that goes on after five seconds. Each has a process group of its own,
    # which a Ctrl-C at the terminal does not reach.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    print(port, flush=True)
    signal.pause()
    # At once, also out of a program that is still running.
    os._exit(0)


if __name__ == "__main__":
    main()
