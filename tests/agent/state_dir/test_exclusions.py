import pytest

from openclaw_agent.errors import UsageError
from openclaw_agent.state_dir.exclusions import DEFAULT_RULES, Exclusions


@pytest.mark.parametrize(
    ("path", "is_folder", "left_out"),
    [
        ("cache", True, True),
        ("cache", False, False),
        ("workspace/cache", True, False),
        ("extensions/one/node_modules", True, True),
        ("extensions/one/two/node_modules", True, False),
        ("gateway.pid", False, True),
        ("workspace/gateway.pid", False, False),
        ("state/openclaw.lock", False, True),
        ("package-lock.json", False, False),
        ("workspace/yarn.lock", False, False),
        ("browser/SingletonLock", False, True),
        ("browser/deep/er/SingletonLock", False, True),
        ("workspace/SingletonLock", False, False),
        ("new\nline.pid", False, True),
        ("state/openclaw.sqlite", False, False),
        ("", True, False),
    ],
)
def test_what_openclaw_rebuilds_is_left_out_and_nothing_else(path: str, is_folder: bool, left_out: bool) -> None:
    assert (Exclusions().reason_for(path, is_folder=is_folder) is not None) is left_out


@pytest.mark.parametrize(
    ("pattern", "path", "is_folder", "left_out"),
    [
        ("logs/", "logs", True, True),
        ("logs/", "logs", False, False),
        ("logs", "logs", False, True),
        ("logs", "workspace/logs", False, False),
        ("**/logs/", "workspace/deep/logs", True, True),
        ("**/logs/", "logs", True, True),
        ("media/**/*.tmp", "media/a/b/c.tmp", False, True),
        ("media/**/*.tmp", "media/c.tmp", False, True),
        ("media/*.tmp", "media/a/c.tmp", False, False),
        ("media/**", "media/a/c.tmp", False, True),
        ("a?c", "abc", False, True),
        ("a?c", "a/c", False, False),
        ("a.c", "abc", False, False),
        ("[ab]", "a", False, False),
        ("[ab]", "[ab]", False, True),
    ],
)
def test_configured_patterns(pattern: str, path: str, is_folder: bool, left_out: bool) -> None:
    reason = Exclusions([pattern]).reason_for(path, is_folder=is_folder)
    assert reason == ("excluded by the configuration" if left_out else None)


@pytest.mark.parametrize("pattern", ["", "/", "/etc", "../x", "a/../b", "a/.."])
def test_a_pattern_that_is_not_relative_to_the_state_folder_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="must be a path relative to the state folder"):
        Exclusions([pattern])


def test_every_default_rule_says_why() -> None:
    assert all(rule.reason for rule in DEFAULT_RULES)
