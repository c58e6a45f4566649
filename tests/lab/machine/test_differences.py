from pathlib import Path

import pytest

from lab.host.errors import InstanceError
from lab.machine.differences import REPOSITORY, read_assumptions, read_differences
from lab.machine.disk import ENGINE_FILES, ROOT_FILES


def is_in_a_root(path: Path) -> bool:
    return any(part.startswith("root_files") for part in path.parts)


def test_every_file_of_the_root_is_a_listed_difference_and_every_listed_file_exists() -> None:
    trees = (ROOT_FILES, *ENGINE_FILES.values())
    in_the_root = {path.relative_to(REPOSITORY) for tree in trees for path in tree.rglob("*") if not path.is_dir()}
    listed = [path for row in read_differences() for path in row.files]
    assert {path for path in listed if is_in_a_root(path)} == in_the_root
    assert all((REPOSITORY / path).is_symlink() or (REPOSITORY / path).is_file() for path in listed)


def test_no_file_of_the_root_is_explained_twice() -> None:
    listed = [path for row in read_differences() for path in row.files if is_in_a_root(path)]
    assert len(listed) == len(set(listed))


def test_every_assumption_about_aws_says_what_it_rests_on_and_what_would_show_it() -> None:
    assumptions = read_assumptions()
    assert len(assumptions) >= 25
    assert len({row.assumed for row in assumptions}) == len(assumptions)
    for row in assumptions:
        assert row.assumed.endswith(".")
        assert row.shown_by.endswith((".", "`"))


def test_every_difference_says_what_and_why_in_a_sentence() -> None:
    for row in read_differences():
        assert row.what.endswith(".")
        assert row.why.endswith(".")


@pytest.mark.parametrize(
    "content",
    [
        "what: one\n",
        "- what: one\n  why: two\n",
        "- {what: one, why: two, files: []}\n",
        "- {assumed: one, basis: believed}\n",
        "- {assumed: one, basis: believed, shown_by: ''}\n",
        "- {assumed: one, basis: hoped, shown_by: two}\n",
    ],
    ids=["no list", "no files", "empty files", "not to be shown", "shown by nothing", "no basis"],
)
def test_a_row_of_another_form_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "differences.yaml").write_text(content)
    with pytest.raises(InstanceError, match=r"must (be a list|have what, why and files)"):
        read_differences(tmp_path / "differences.yaml")
