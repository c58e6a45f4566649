import re
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

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
        ("?ab?", "[ab]", False, True),
        ("?keep", "!keep", False, True),
        ("a!b#c$d~", "a!b#c$d~", False, True),
        ("~$*", "~$plan.docx", False, True),
        ("~cache/", "~cache", True, True),
        ("./logs/", "logs", True, True),
        ("./logs", "logs", False, True),
        ("logs/./", "logs", True, True),
        ("logs/.", "logs", True, True),
        ("logs/.", "logs", False, False),
        ("media/./*.tmp", "media/c.tmp", False, True),
        ("media//*.tmp", "media/c.tmp", False, True),
        (".//./media/", "media", True, True),
        ("media/**", "media", True, False),
        ("media/**/", "media/a", True, True),
        ("media/**/", "media", True, False),
        ("media/**/", "media/a", False, False),
        ("**", "a", False, True),
        ("workspace/**/node_modules/", "workspace/node_modules", True, True),
        ("workspace/**/node_modules/", "workspace/a/b/node_modules", True, True),
        ("workspace/**/node_modules/", "workspace/a/node_modules", False, False),
        ("workspace/**/node_modules/", "node_modules", True, False),
        ("a.tmp", "a.tmp\n", False, False),
        ("a/**/b", "a/line\nend/b", False, True),
        ("line\nend", "line\nend", False, True),
    ],
)
def test_configured_patterns(pattern: str, path: str, is_folder: bool, left_out: bool) -> None:
    reason = Exclusions([pattern]).reason_for(path, is_folder=is_folder)
    assert reason == ("excluded by the configuration" if left_out else None)


OF_OTHER_DIALECTS = [
    " logs/", "\tlogs/", "!logs/", "#logs", "[l]ogs/", "lo[gs", "logs]", "*.{log,tmp}", "tmp}", "logs\\big", "\\!x",
    "~/.openclaw/logs/", "~", "~/", "~node/.openclaw/logs/", "$HOME/.openclaw/logs/", "${HOME}/logs", "a\0b",
]  # fmt: skip


NOT_RELATIVE = ["", "/", "/etc", "../x", "a/../b", "a/..", " ", "/ ", ".", "./", "./.", "//", "./.."]


@pytest.mark.parametrize("pattern", NOT_RELATIVE + OF_OTHER_DIALECTS)
def test_a_pattern_that_could_match_nothing_that_was_meant_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="must be a path relative to the state folder"):
        Exclusions([pattern])


def test_every_default_rule_says_why() -> None:
    assert all(rule.reason for rule in DEFAULT_RULES)


DOCUMENTED = ("logs/", "media/**/*.tmp", "workspace/**/node_modules/", "workspace/**/.venv/")
NAMES = st.one_of(
    st.sampled_from(["cache", "logs", "media", "state", "browser", "extensions", "workspace", "node_modules", "x.tmp"]),
    st.sampled_from(["SingletonLock", "gateway.pid", "a.lock", ".venv", "line\nend", "a.pid\n"]),
    st.text("ab.[]\\!#- \n", min_size=1, max_size=3).filter(lambda name: name not in {".", ".."}),
)
PATHS = st.tuples(st.lists(NAMES, min_size=1, max_size=5).map("/".join), st.booleans())
PATTERN_NAMES = st.one_of(NAMES, st.just("**"), st.text("ab.*?[]\\!#\n", min_size=1, max_size=4)).filter(
    lambda name: name not in {".", ".."} and ("**" not in name or name == "**")
)
PATTERNS = st.builds(
    lambda names, slash: "/".join(names) + slash,
    st.lists(PATTERN_NAMES, min_size=1, max_size=4),
    st.sampled_from(["", "/"]),
).filter(lambda pattern: pattern == pattern.rstrip())


def expression_of_0_1_0(pattern: str) -> re.Pattern[str]:
    """A pattern as release 0.1.0 compiled it, by hand."""
    body = pattern.rstrip("/")
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


Reason = Callable[[str, bool], str | None]


def in_0_1_0(*extra: str) -> Reason:
    rules = [(rule.pattern, rule.reason) for rule in DEFAULT_RULES]
    rules += [(pattern, "excluded by the configuration") for pattern in extra]
    compiled = [(expression_of_0_1_0(pattern), pattern.endswith("/"), reason) for pattern, reason in rules]

    def reason_for(path: str, is_folder: bool) -> str | None:
        for expression, folders_only, reason in compiled:
            if (is_folder or not folders_only) and expression.fullmatch(path):
                return reason
        return None

    return reason_for


def today(*extra: str) -> Reason:
    exclusions = Exclusions(extra)
    return lambda path, is_folder: exclusions.reason_for(path, is_folder=is_folder)


def reason_of_a_walk(reason_for: Reason, path: str, is_folder: bool) -> str | None:
    """Why a walk does not come to the path or leaves it out: it never enters a folder that is left out."""
    names = path.split("/")
    for depth in range(1, len(names) + 1):
        reason = reason_for("/".join(names[:depth]), is_folder or depth < len(names))
        if reason:
            return reason
    return None


@given(PATHS)
@example(("cache/a\nb/c", False))
@example(("browser/a\nb/SingletonLock", False))
@example(("media/a/x.tmp\n", False))
def test_the_built_in_and_the_documented_patterns_mean_what_they_meant_in_0_1_0(path: tuple[str, bool]) -> None:
    assert reason_of_a_walk(today(*DOCUMENTED), *path) == reason_of_a_walk(in_0_1_0(*DOCUMENTED), *path)


def accepted(pattern: str) -> bool:
    try:
        Exclusions([pattern])
    except UsageError:
        return False
    return True


WRITTEN = st.text("ab*?./~$! [#\\-", min_size=1, max_size=12)


@given(st.one_of(PATTERNS, WRITTEN, st.builds("/".join, st.lists(st.sampled_from([".", "", "a", "**", "*", "b?"])))))
@example("a/**/./")
@example("**/.")
@example("./**")
def test_a_pattern_that_is_accepted_leaves_out_the_path_that_it_spells(pattern: str) -> None:
    assume(accepted(pattern))
    names = [name for name in pattern.rstrip().split("/") if name not in ("", ".")]
    spelled = [name.replace("**", "x").replace("*", "x").replace("?", "y") for name in names]
    if names[-1] == "**":
        spelled.append("x")
    assert reason_of_a_walk(today(pattern), "/".join(spelled), True) is not None


@given(PATTERNS.filter(accepted), PATHS)
def test_a_pattern_means_what_it_meant_in_0_1_0(pattern: str, path: tuple[str, bool]) -> None:
    assert reason_of_a_walk(today(pattern), *path) == reason_of_a_walk(in_0_1_0(pattern), *path)


@pytest.mark.parametrize(
    ("pattern", "path", "before", "now"),
    [
        pytest.param("a**c", "a/b/c", True, False, id="two stars inside a name stay within it, as in git"),
        pytest.param("a**/c", "ac", True, False, id="two stars at a name's end do not join it to the next"),
        pytest.param("a**/c", "ab/d/c", True, False, id="two stars at a name's end are one"),
        pytest.param("a ", "a ", True, False, id="white space at the end counts for nothing, as in git"),
        pytest.param("a ", "a", False, True, id="what is before white space at the end counts"),
    ],
)
def test_where_a_pattern_means_something_else_than_in_0_1_0(pattern: str, path: str, before: bool, now: bool) -> None:
    assert (reason_of_a_walk(in_0_1_0(pattern), path, False) is not None) is before
    assert (reason_of_a_walk(today(pattern), path, False) is not None) is now
