"""Values on the wire and in the state, project files, policies, and the conditions of a bucket policy."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from lab.engine.errors import MissingStack
from lab.engine.monitor import find_stack_by_name
from lab.engine.program_run import one_sentence
from lab.engine.project import config_text, load_project
from lab.engine.state import StackState, StateStore, without_assets
from lab.moto.gaps import without_satisfied_denies
from lab.resources import wire
from lab.resources.errors import EngineError, InvalidInput
from lab.resources.policy_document import policy_document
from lab.resources.resource import Resource
from lab.resources.values import UNKNOWN, Asset, AssetKind, archive_from_members, archive_from_path, contains_unknown


def test_plain_values_survive_the_wire() -> None:
    values = {"text": "a", "count": 3, "share": 0.5, "on": True, "none": None, "list": [1, {"deep": ["x"]}], "map": {}}
    assert wire.decode(wire.encode(values)) == (values, frozenset())


def test_secrets_are_marked_by_their_top_level_key() -> None:
    values = {"token": "t0p", "plain": "a", "deep": {"inner": ["x"]}}
    assert wire.decode(wire.encode(values, ["token"])) == (values, frozenset({"token"}))
    hidden = {wire.SIGNATURE: wire.SECRET_SIGNATURE, "value": "x"}
    assert wire.decode(wire.encode({"deep": {"inner": [hidden]}})) == (
        {"deep": {"inner": ["x"]}},
        frozenset({"deep"}),
    )


def test_unknown_values_survive_the_wire() -> None:
    decoded, _ = wire.decode(wire.encode({"id": UNKNOWN, "list": [UNKNOWN]}))
    assert decoded == {"id": UNKNOWN, "list": [UNKNOWN]}
    assert contains_unknown(decoded)
    assert decoded["id"] is UNKNOWN


def test_a_resource_on_the_wire_is_its_id() -> None:
    reference = {wire.SIGNATURE: wire.RESOURCE_SIGNATURE, "urn": "urn:x", "id": "vpc-1"}
    assert wire.decode(wire.encode({"vpc": reference}))[0] == {"vpc": "vpc-1"}


def test_a_marked_value_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"unknown kind \(bogus\)"):
        wire.decode(wire.encode({"x": {wire.SIGNATURE: "bogus"}}))


def test_an_archive_depends_on_its_members_alone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "b").write_bytes(b"2")
    (folder / "a").write_bytes(b"1")
    assert archive_from_path(folder) == archive_from_members({"inner/b": b"2", "a": b"1"})
    (tmp_path / "made").write_bytes(b"as it is")
    assert archive_from_path(tmp_path / "made").read() == b"as it is"
    with pytest.raises(InvalidInput, match="neither a file nor a folder"):
        archive_from_path(tmp_path / "gone")


def test_state_survives_its_file_and_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    asset = Asset.of(AssetKind.FILE, b"bytes")
    state = StackState("project", "dev", outputs={"a": [1]}, secret_outputs=("a",), config={"p:k": "v"})
    state.resources["u"] = Resource("u", "t", "n", "i", {"source": asset}, {"list": [1, {"x": None}]}, protect=True)
    state.condemned.append(Resource("old", "t", "n", dependencies=("u",)))
    store.save(state)
    again = store.load("project", "dev")
    assert again is not None
    assert again == state
    assert again.resources["u"].inputs["source"].content is None
    with pytest.raises(InvalidInput, match="are not kept in the state"):
        again.resources["u"].inputs["source"].read()
    assert stat.S_IMODE(store.path("project", "dev").stat().st_mode) == 0o600
    assert store.known() == [("project", "dev")]
    assert b"bytes" not in store.path("project", "dev").read_bytes()
    store.remove("project", "dev")
    assert store.load("project", "dev") is None


def test_unknown_values_never_reach_the_state() -> None:
    with pytest.raises(ValueError, match="unknown value"):
        without_assets({"a": [UNKNOWN]})


def test_project_file(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(
        "name: sample\nmain: inner\nconfig:\n  size: {type: integer, default: 15}\n  aws:region: {value: eu-west-1}\n"
        "  zone: {type: string}\n"
    )
    project = load_project(tmp_path)
    assert (project.name, project.program) == ("sample", tmp_path / "inner")
    assert project.defaults == {"sample:size": "15", "aws:region": "eu-west-1"}
    (tmp_path / "Pulumi.yaml").write_text("runtime: python\n")
    with pytest.raises(EngineError, match="does not name its project"):
        load_project(tmp_path)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (15, "15"), ("a", "a"), (["a"], '["a"]'), ({"a": 1}, '{"a": 1}')],
    ids=["switch", "number", "text", "list", "map"],
)
def test_config_values_are_written_as_pulumi_writes_them(value: object, text: str) -> None:
    assert config_text(value) == text


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("a\n  b"), "a b"),
        (KeyError("zone"), "KeyError: 'zone'"),
        (RuntimeError(), "RuntimeError"),
        (EngineError("said"), "said"),
    ],
    ids=["lines", "bug", "silent", "ours"],
)
def test_one_sentence(error: Exception, sentence: str) -> None:
    assert one_sentence(error) == sentence


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("organization/lower/prod", "has not been deployed"),
        ("acme/lower/dev", "not in this engine's organization 'organization'"),
        ("lower/dev", "must be <organization>/<project>/<stack>"),
    ],
    ids=["missing", "foreign", "form"],
)
def test_a_stack_that_cannot_be_found(name: str, sentence: str) -> None:
    with pytest.raises(MissingStack, match=sentence):
        find_stack_by_name(name, "organization", "upper", lambda _project, _stack: None)


def test_a_stack_is_found_by_its_full_name_or_in_the_same_project() -> None:
    stacks = {("lower", "dev"): StackState("lower", "dev", resources={"u": Resource("u", "t", "n")})}

    def load(project: str, stack: str) -> StackState | None:
        return stacks.get((project, stack))

    assert find_stack_by_name("organization/lower/dev", "organization", "upper", load).project == "lower"
    assert find_stack_by_name("dev", "organization", "lower", load).stack == "dev"


def statement(condition: dict[str, Any] | None, effect: str = "Deny") -> dict[str, Any]:
    plain = {"Effect": effect, "Principal": "*", "Action": "s3:*", "Resource": "*"}
    return plain | ({"Condition": condition} if condition else {})


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"Bool": {"aws:SecureTransport": False}}, False),
        ({"Bool": {"AWS:securetransport": ["false"]}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, False),
        ({"NumericLessThan": {"s3:TlsVersion": 1.4}}, True),
        ({"StrangeOperator": {"aws:SecureTransport": "false"}}, True),
        (None, True),
    ],
    ids=["no-tls", "boolean", "list", "tls", "old-tls", "future-tls", "strange", "none"],
)
def test_conditions_on_the_connection(condition: dict[str, Any] | None, kept: bool) -> None:
    left = without_satisfied_denies({"Version": "1", "Statement": [statement(condition)]}, {})["Statement"]
    assert left == ([statement(None)] if kept else [])


def test_other_conditions_stay() -> None:
    other = {"StringEquals": {"s3:prefix": "a"}}
    both = {**other, "Bool": {"aws:SecureTransport": "true"}}
    assert without_satisfied_denies({"Statement": statement(both)}, {})["Statement"] == [statement(other)]


CLASS = "s3:x-amz-storage-class"


@pytest.mark.parametrize(
    ("condition", "sent", "kept"),
    [
        ({"Null": {CLASS: "false"}}, None, False),
        ({"Null": {CLASS: "false"}}, "GLACIER", True),
        ({"Null": {CLASS: "true"}}, None, True),
        ({"StringNotEquals": {CLASS: "STANDARD"}}, None, True),
        ({"StringNotEquals": {CLASS: "STANDARD"}}, "STANDARD", False),
        ({"StringNotEquals": {CLASS: ["STANDARD", "GLACIER"]}}, "GLACIER", False),
        ({"StringEquals": {CLASS: "GLACIER"}}, None, False),
        ({"StringEqualsIfExists": {CLASS: "GLACIER"}}, None, True),
        ({"Null": {CLASS: "false"}, "StringNotEquals": {CLASS: "STANDARD"}}, None, False),
        ({"Null": {CLASS: "false"}, "StringNotEquals": {CLASS: "STANDARD"}}, "STANDARD", False),
        ({"Null": {CLASS: "false"}, "StringNotEquals": {CLASS: "STANDARD"}}, "GLACIER", True),
    ],
)
def test_conditions_on_a_header_hold_as_iam_s_reference_says(
    condition: dict[str, Any], sent: str | None, kept: bool
) -> None:
    headers = {} if sent is None else {"x-amz-storage-class": sent}

    left = without_satisfied_denies({"Statement": [statement(condition)]}, headers)["Statement"]

    assert left == ([statement(None)] if kept else [])


def test_policy_document() -> None:
    written = policy_document(
        {
            "policyId": "p",
            "statements": [
                {
                    "sid": "s",
                    "actions": ["a:B"],
                    "resources": ["x", "y"],
                    "principals": [{"type": "Service", "identifiers": ["ec2.amazonaws.com"]}],
                    "conditions": [{"test": "StringEquals", "variable": "k", "values": ["v"]}],
                }
            ],
        }
    )
    assert json.loads(written["json"]) == json.loads(written["minifiedJson"])
    assert json.loads(written["json"]) == {
        "Version": "2012-10-17",
        "Id": "p",
        "Statement": [
            {
                "Effect": "Allow",
                "Sid": "s",
                "Action": "a:B",
                "Resource": ["x", "y"],
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Condition": {"StringEquals": {"k": "v"}},
            }
        ],
    }
