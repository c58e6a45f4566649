"""What a backup leaves out, and why: things OpenClaw rebuilds, locks, pids, and what the configuration adds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from openclaw_agent.errors import UsageError


@dataclass(frozen=True, slots=True)
class ExclusionRule:
    """A pattern over paths relative to the state folder, and the reason for leaving them out.

    `*` matches within one name, `**` across folders, a trailing `/` only folders (with all that is in them). A pattern
    is anchored at the state folder unless it begins with `**/`.
    """

    pattern: str
    reason: str


# Source of the rebuildable folders: OpenClaw's own backup and a fresh gateway's state.
DEFAULT_RULES: tuple[ExclusionRule, ...] = (
    ExclusionRule("cache/", "a cache that OpenClaw rebuilds"),
    ExclusionRule("tmp/", "temporary files and locks"),
    ExclusionRule("npm/", "packages that OpenClaw installs again"),
    ExclusionRule("npm-runtime/", "packages that OpenClaw installs again"),
    ExclusionRule("tools/", "tools that OpenClaw downloads again"),
    ExclusionRule("dev/", "a development checkout that OpenClaw downloads again"),
    ExclusionRule("plugin-skills/", "links that OpenClaw creates again"),
    ExclusionRule("extensions/*/node_modules/", "packages that OpenClaw installs again"),
    ExclusionRule("*.pid", "a process id means nothing on another machine"),
    ExclusionRule("state/*.pid", "a process id means nothing on another machine"),
    ExclusionRule("*.lock", "a lock of a process that will be gone"),
    ExclusionRule("state/*.lock", "a lock of a process that will be gone"),
    ExclusionRule("browser/**/SingletonLock", "a lock of a browser that will be gone"),
    ExclusionRule("browser/**/SingletonCookie", "a lock of a browser that will be gone"),
    ExclusionRule("browser/**/SingletonSocket", "a lock of a browser that will be gone"),
)


class Exclusions:
    """Answers, for a path, whether it is left out and why."""

    def __init__(self, extra_patterns: Iterable[str] = ()) -> None:
        """Compile the default rules and the configured patterns.

        Raises:
            UsageError: when a configured pattern is empty, absolute or climbs out of the state folder.
        """
        extra = tuple(ExclusionRule(pattern, "excluded by the configuration") for pattern in extra_patterns)
        self._rules = tuple(
            (_compile(rule.pattern), rule.pattern.endswith("/"), rule.reason) for rule in (*DEFAULT_RULES, *extra)
        )

    def reason_for(self, path: str, *, is_folder: bool) -> str | None:
        """The reason why `path` is left out, or None when it is kept."""
        for expression, folders_only, reason in self._rules:
            if (is_folder or not folders_only) and expression.fullmatch(path):
                return reason
        return None


def _compile(pattern: str) -> re.Pattern[str]:
    body = pattern.rstrip("/")
    if not body or body.startswith("/") or ".." in body.split("/"):
        raise UsageError(
            f"The exclude pattern {pattern!r} is not allowed: it must be a path relative to the state folder, "
            "such as logs/ or media/**/*.tmp."
        )
    expression = ""
    position = 0
    while position < len(body):
        if body.startswith("**/", position):
            expression += "(?:.*/)?"
            position += 3
        elif body.startswith("**", position):
            expression += ".*"
            position += 2
        elif body[position] == "*":
            expression += "[^/]*"
            position += 1
        elif body[position] == "?":
            expression += "[^/]"
            position += 1
        else:
            expression += re.escape(body[position])
            position += 1
    return re.compile(expression, re.DOTALL)
