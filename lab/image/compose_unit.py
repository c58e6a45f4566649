"""Turns the container of docker-compose.yaml into what the templates of the lab's unit are filled with."""

import shlex
from collections.abc import Iterable

from lab.image.compose_file import Container
from lab.image.layers import GATEWAY_UID

PROGRAM = "openclaw"
# A container has a network of its own, behind a port published on loopback; the unit has the instance's.
BIND_IN_PLACE_OF = {"lan": "loopback"}
_ROOTS_PRIVILEGES = ("--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all")


def unit_settings(container: Container) -> dict[str, str]:
    """Returns the `${name}` settings of the templates under root_files: systemd's lines and a shell's words.

    A limit that the compose file does not set becomes systemd's `infinity`, or an empty word for the shell.
    """
    home = container.environment["HOME"]
    return {
        "gateway_command": " ".join((PROGRAM, *loopback_arguments(container.arguments))),
        "container_home": home,
        "container_uid": str(GATEWAY_UID),
        "bind_mounts": "\n".join(
            # "-": --before-start, which runs in the same view, may have to bring the folder first.
            f"{'BindReadOnlyPaths' if mount.read_only else 'BindPaths'}=-{mount.source}:{mount.target}"
            for mount in container.mounts
        ),
        "stop_seconds": _or_infinity(container.stop_grace_seconds),
        "tasks_max": _or_infinity(container.pids_limit),
        # Dropping capabilities for good takes one that the unit itself does not have.
        "capability_lines": "CapabilityBoundingSet=CAP_SETPCAP" if container.drops_all_capabilities else "",
        "environment_words": _shell_words(f"{name}={value}" for name, value in container.environment.items()),
        "env_file_words": _shell_words(container.env_files),
        "quoted_env_file_words": _shell_words(container.quoted_env_files),
        "mount_target_words": _shell_words(mount.target for mount in container.mounts),
        "mount_source_words": _shell_words(mount.source for mount in container.mounts),
        "privilege_words": _shell_words(
            (
                *(_ROOTS_PRIVILEGES if container.drops_all_capabilities else ()),
                *(("--no-new-privs",) if container.no_new_privileges else ()),
            )
        ),
        # An expression of compose is one of the shell's as well; its form was checked.
        "memory_limit": container.memory_limit or "",
        "memory_and_swap_limit": container.memory_and_swap_limit or "",
    }


def loopback_arguments(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the gateway's arguments for a gateway without a network of its own."""
    return tuple(
        BIND_IN_PLACE_OF.get(argument, argument) if before == "--bind" else argument
        for before, argument in zip(("", *arguments), arguments, strict=False)
    )


def _or_infinity(limit: int | None) -> str:
    return "infinity" if limit is None else str(limit)


def _shell_words(words: Iterable[str]) -> str:
    return " ".join(map(shlex.quote, words))
