"""Deciding what to do with a resource: pure."""

from __future__ import annotations

import pytest

from lab.engine.diff import Action, Goal, deletion_order, dependents_to_replace, plan
from lab.resources.changes import ReplacementRules, changed_keys, with_ignored_changes
from lab.resources.resource import Resource
from lab.resources.values import UNKNOWN, Asset, AssetKind, Inputs

RULES = ReplacementRules(replace_on=frozenset({"bucket", "kind"}), name_key="bucket")


def old(inputs: Inputs, **more: object) -> Resource:
    return Resource(urn="u", type="t", name="n", id="i", inputs=inputs, **more)  # type: ignore[arg-type]


def goal(inputs: Inputs, **more: object) -> Goal:
    return Goal(urn="u", type="t", name="n", inputs=inputs, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "action", "delete_first"),
    [
        (None, goal({}), Action.CREATE, False),
        (None, goal({}, import_id="there"), Action.IMPORT, False),
        (old({"bucket": "a", "tags": {"x": "1"}}), goal({"bucket": "a", "tags": {"x": "1"}}), Action.SAME, False),
        (old({"bucket": "a"}), goal({"bucket": "a", "tags": {}}), Action.UPDATE, False),
        (old({"bucket": "a", "tags": {}}), goal({"bucket": "a"}), Action.UPDATE, False),
        (old({"bucket": "a"}), goal({"bucket": "b"}), Action.REPLACE, False),
        (old({"bucket": "a", "kind": 1}), goal({"bucket": "a", "kind": 2}), Action.REPLACE, True),
        (old({"kind": 1}), goal({"kind": 2}), Action.REPLACE, False),
        (old({"kind": 1}), goal({"kind": 2}, delete_before_replace=True), Action.REPLACE, True),
        (old({"bucket": "a", "kind": 1}), goal({"bucket": "a", "kind": 2}, delete_before_replace=False),
         Action.REPLACE, False),
        (old({"region": "a"}), goal({"region": "b"}), Action.REPLACE, False),
        (old({"bucket": "a"}), goal({"bucket": UNKNOWN}), Action.REPLACE, False),
        (old({"tags": {"x": 1}}), goal({"tags": {"x": UNKNOWN}}), Action.UPDATE, False),
        (old({"tags": {"x": 1}}), goal({"tags": {"x": 2}}, replace_on_changes=("tags.x",)), Action.REPLACE, False),
        (old({"tags": {"x": 1}}), goal({"tags": {"x": 2}}, replace_on_changes=("*",)), Action.REPLACE, False),
        (old({}, replacement_trigger=1), goal({}, replacement_trigger=2), Action.REPLACE, False),
        (old({}, replacement_trigger=1), goal({}, replacement_trigger=1), Action.SAME, False),
        (old({}), goal({}, replace_with=("other",)), Action.REPLACE, False),
    ],
    ids=[
        "new", "import", "same", "key-added", "key-gone", "other-name", "same-name", "no-name", "asked-first",
        "asked-last", "region", "unknown-name", "unknown-tag", "replace-path", "replace-all", "trigger",
        "trigger-same", "with-other",
    ],
)  # fmt: skip
def test_plan(before: Resource | None, after: Goal, action: Action, delete_first: bool) -> None:
    decided = plan(before, after, RULES, replaced={"other"})
    assert (decided.action, decided.delete_first) == (action, delete_first)


def test_assets_are_compared_by_their_bytes() -> None:
    text, file = Asset.of(AssetKind.TEXT, b"1"), Asset.of(AssetKind.FILE, b"1")
    assert changed_keys({"source": text}, {"source": file}) == []
    assert changed_keys({"source": text}, {"source": Asset.of(AssetKind.TEXT, b"2")}) == ["source"]


@pytest.mark.parametrize(
    ("before", "after", "paths", "result"),
    [
        ({"a": 1, "b": 1}, {"a": 2, "b": 2}, ["a"], {"a": 1, "b": 2}),
        ({"t": {"x": 1, "y": 1}}, {"t": {"x": 2, "y": 2}}, ["t.x"], {"t": {"x": 1, "y": 2}}),
        ({}, {"a": 2}, ["a"], {}),
        ({"l": [1]}, {"l": [2, 3]}, ["l[0]"], {"l": [1]}),
    ],
    ids=["key", "nested", "added", "list"],
)
def test_ignored_changes_keep_the_old_value(before: Inputs, after: Inputs, paths: list[str], result: Inputs) -> None:
    given = {key: dict(value) if isinstance(value, dict) else value for key, value in after.items()}
    assert with_ignored_changes(before, after, paths) == result
    assert after == given


def depending(name: str, *on: str, keys: tuple[str, ...] = ()) -> Resource:
    return Resource(
        urn=name, type="t", name=name, dependencies=on, property_dependencies={key: list(on) for key in keys}
    )


def test_deletion_goes_against_dependencies_whatever_the_order() -> None:
    resources = [depending("c", "b"), depending("a"), depending("b", "a"), depending("d")]
    assert [each.urn for each in deletion_order(resources)] == ["d", "c", "b", "a"]


def test_only_what_cannot_follow_a_replacement_goes_with_it() -> None:
    resources = [
        depending("a"),
        depending("tied", "a", keys=("kind",)),
        depending("loose", "a", keys=("tags",)),
        depending("tied-to-tied", "tied", keys=("bucket",)),
    ]
    assert [each.urn for each in dependents_to_replace("a", resources, {"t": RULES})] == ["tied-to-tied", "tied"]
