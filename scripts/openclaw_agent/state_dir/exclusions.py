"""What a backup leaves out, and why: things OpenClaw rebuilds, locks, pids, and what the configuration adds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from openclaw_agent.errors import UsageError


@dataclass(frozen=True, slots=True)
class ExclusionRule:
    """A pattern over paths relative to the state folder, and the reason for leaving them out.

    A pattern is a line of a `.gitignore` beside the state folder's content: `*` and `?` match within one name, `**` as
    a whole name matches any folders, a trailing `/` only folders (with all that is in them), and white space at the end
    counts for nothing. Unlike in git it is anchored at the state folder unless it begins with `**/`. What git or a
    shell reads in another way (`!x`, `[ab]`, `{a,b}`, `~/x`) would match nothing that was meant, and is refused.
    """

    pattern: str
    reason: str


CONFIGURED = "excluded by the configuration"
# In a state folder that is a volume of its own: where a restore builds, and puts aside what it replaces.
AGENT_FOLDER = ".openclaw-agent"

# Source of the rebuildable folders: OpenClaw's own backup and a fresh gateway's state.
DEFAULT_RULES: tuple[ExclusionRule, ...] = (
    ExclusionRule(f"{AGENT_FOLDER}/", "what a restore builds or has put aside"),
    ExclusionRule("lost+found/", "the file system's own"),
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


# In a regular expression `.` and `$` treat the end of a line apart; in a name it is one character like others. No name
# can hold this one, so that nothing else is taken for it.
_LINE_END, _STAND_IN = "\n", "\0"


class Exclusions:
    """Answers, for a path, whether it is left out and why."""

    def __init__(self, extra_patterns: Iterable[str] = (), *, rules: Iterable[ExclusionRule] = DEFAULT_RULES) -> None:
        """Compile the rules (by default those of every backup) and the configured patterns.

        Raises:
            UsageError: when a configured pattern is empty, absolute or climbs out of the state folder.
        """
        extra = tuple(ExclusionRule(pattern, CONFIGURED) for pattern in extra_patterns)
        self._rules = tuple(
            (_compile(rule.pattern), rule.pattern.rstrip().endswith(("/", "/.")), rule.reason)
            for rule in (*rules, *extra)
        )

    def reason_for(self, path: str, *, is_folder: bool) -> str | None:
        """The reason why `path` is left out, or None when it is kept; the folders it lies in are asked about before."""
        if _LINE_END in path:
            path = path.replace(_LINE_END, _STAND_IN)
        # Not by PathSpec, which needs three times as long for a walk of small files.
        named = f"{path}/" if is_folder else path
        for expression, folders_only, reason in self._rules:
            if (is_folder or not folders_only) and expression.search(named):
                return reason
        return None


def _of_another_dialect(written: str, names: list[str]) -> bool:
    if written[0].isspace() or written[0] in "!#" or _STAND_IN in written or any(sign in written for sign in "[]{}\\"):
        return True
    # A shell's home folder or variable; `~$*` alone are the locks of an office program.
    return names[0] == "~" or (names[0][0] in "~$" and len(names) > 1)


def _compile(pattern: str) -> re.Pattern[str]:
    # Only what walks a state folder pays for it.
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    written = pattern.rstrip()
    # The walk knows no name that is empty or a dot: `./logs/` and `logs//big` mean what they mean to a shell.
    names = [name for name in written.split("/") if name not in ("", ".")]
    if not names or written.startswith("/") or ".." in names or _of_another_dialect(written, names):
        raise UsageError(
            f"The exclude pattern {pattern!r} is not allowed: it must be a path relative to the state folder, "
            "such as logs/ or media/**/*.tmp; write ? for a blank, ! or # that a name begins with, for ~ or $ at the "
            "beginning of a first folder's name, and for [ ] { } and the backslash anywhere."
        )
    body = "/".join(names).replace(_LINE_END, _STAND_IN)
    if body == "**" or body.endswith("/**"):
        # What is in the folder, and not the folder itself, which pathspec takes for part of it.
        body += "/*"
    expression, _ = GitIgnoreSpecPattern.pattern_to_regex(f"/{body}/" if written.endswith(("/", "/.")) else f"/{body}")
    if expression is None:
        raise AssertionError(f"{pattern!r} is a line without a meaning")
    return re.compile(expression)
