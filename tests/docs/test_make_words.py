"""What a person gives to make is a word for a program, and nothing that make or a shell carries out."""

import os
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z0-9-]+):.*## ", MAKEFILE, re.MULTILINE)
GIVEN = [name for line in re.findall(r"^GIVEN := (.+)$", MAKEFILE, re.MULTILINE) for name in line.split()]
OUR_OWN = {
    "LOCK",
    "OPERATOR",
    "PY",
    "VENV",
    "READY",
    "WITH_PACKAGES",
    "AGENT_TESTS",
    "WORKERS",
    "FULL_SIZE",
    "MAKEFILE_LIST",
}

pytestmark = pytest.mark.subprocess


def shown(words: list[str], environment: dict[str, str]) -> str:
    """What make would hand to the shell for every target, with `environment` beside the usual one."""
    made = subprocess.run(
        ["make", "--dry-run", "--always-make", *words, *TARGETS],
        cwd=REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return made.stdout


@pytest.mark.parametrize(
    "text", ["x; touch {}; false #", "`touch {}`", "$(shell touch {})", "$$(touch {})", "'\"; touch {}"]
)
@pytest.mark.parametrize("way", ["command line", "environment"])
def test_no_word_that_is_given_becomes_text_of_a_recipe(way: str, text: str, tmp_path: Path) -> None:
    given = {name: text.format(tmp_path / f"ran-{name}") for name in GIVEN}
    words = [f"{name}={value}" for name, value in given.items()] if way == "command line" else []

    recipes = shown(words, given if way == "environment" else {})

    assert str(tmp_path) not in recipes
    assert list(tmp_path.iterdir()) == []


def test_recipes_use_no_variable_of_make_but_ours() -> None:
    used = set(re.findall(r"(?<!\$)\$[({]([A-Z_]+)", "\n".join(re.findall(r"^\t.*", MAKEFILE, re.MULTILINE))))

    assert used <= OUR_OWN
    assert not used & set(GIVEN)


def test_a_default_holds_where_nothing_is_given() -> None:
    recipes = subprocess.run(
        ["make", "--silent", "--old-file=.venv/.ready", "PY=echo", "pause"],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name not in GIVEN},
        capture_output=True,
        text=True,
        check=True,
    )

    assert recipes.stdout == "scripts/openclaw-lab pause --stack=dev\n"
