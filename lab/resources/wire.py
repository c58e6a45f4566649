"""The wire format between a Pulumi program and its engine: protobuf structs with marked secrets, assets and unknowns.

The constants are Pulumi's own (sdk/python/lib/pulumi/runtime/rpc.py) and part of its protocol.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import struct_pb2  # type: ignore[import-untyped]

from lab.resources.errors import InvalidInput
from lab.resources.values import (
    UNKNOWN,
    Asset,
    AssetKind,
    Inputs,
    archive_from_members,
    archive_from_path,
    asset_from_file,
)

UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE = "4dabf18193072939515e22adb298388d"
ASSET_SIGNATURE = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE_SIGNATURE = "0def7320c3a5731c473e5ecbe6d01bc7"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker, not a secret
RESOURCE_SIGNATURE = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_SIGNATURE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


def decode(struct: Any) -> tuple[Inputs, frozenset[str]]:
    """Turn a struct into plain values, and the names of the top-level properties that hold a secret.

    Relative asset paths are resolved against the working directory, which is the program's.

    Raises:
        InvalidInput: an asset cannot be read, or is remote (the lab fetches nothing).
    """
    values: Inputs = {}
    secrets: set[str] = set()
    for name, wire in sorted(struct.fields.items()):
        found: list[bool] = []
        values[name] = _decode(wire, found)
        if found:
            secrets.add(name)
    return values, frozenset(secrets)


def decode_value(wire: Any) -> Any:
    """Turn a single protobuf value into a plain one."""
    return _decode(wire, [])


def encode(values: Mapping[str, Any], secrets: Collection[str] = ()) -> Any:
    """Turn plain values into a struct, marking the named properties as secrets."""
    struct = struct_pb2.Struct()
    for name, value in values.items():
        plain = _encode(value)
        if name in secrets:
            plain = {SIGNATURE: SECRET_SIGNATURE, "value": plain}
        struct.update({name: plain})
    return struct


def _decode(wire: Any, secrets_found: list[bool]) -> Any:
    kind = wire.WhichOneof("kind")
    if kind == "number_value":
        number = wire.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return UNKNOWN if wire.string_value == UNKNOWN_TEXT else wire.string_value
    if kind == "bool_value":
        return wire.bool_value
    if kind == "list_value":
        return [_decode(item, secrets_found) for item in wire.list_value.values]
    if kind == "struct_value":
        fields = wire.struct_value.fields
        if SIGNATURE in fields:
            return _decode_marked(fields[SIGNATURE].string_value, fields, secrets_found)
        return {name: _decode(item, secrets_found) for name, item in sorted(fields.items())}
    return None


def _decode_marked(signature: str, fields: Any, secrets_found: list[bool]) -> Any:
    if signature == SECRET_SIGNATURE:
        secrets_found.append(True)
        return _decode(fields["value"], secrets_found)
    if signature == OUTPUT_SIGNATURE:
        if "secret" in fields and fields["secret"].bool_value:
            secrets_found.append(True)
        return _decode(fields["value"], secrets_found) if "value" in fields else UNKNOWN
    if signature == RESOURCE_SIGNATURE:
        return _decode(fields["id"] if "id" in fields else fields["urn"], secrets_found)
    if signature in (ASSET_SIGNATURE, ARCHIVE_SIGNATURE):
        return _decode_asset(signature, fields)
    raise InvalidInput(f"The program sent a value of an unknown kind ({signature}).")


def _decode_asset(signature: str, fields: Any) -> Asset:
    is_archive = signature == ARCHIVE_SIGNATURE
    if "uri" in fields:
        raise InvalidInput(f"The asset {fields['uri'].string_value} is remote; the embedded engine fetches nothing.")
    if "text" in fields and not ("hash" in fields and not fields["text"].string_value):
        return Asset.of(AssetKind.TEXT, fields["text"].string_value.encode())
    if "path" in fields:
        path = Path(fields["path"].string_value).absolute()
        return archive_from_path(path) if is_archive else asset_from_file(path)
    if "assets" in fields:
        members: dict[str, bytes] = {}
        for name, item in fields["assets"].struct_value.fields.items():
            member = _decode(item, [])
            if not isinstance(member, Asset):
                raise InvalidInput(f"The archive's member {name} is not an asset.")
            members[name] = member.read()
        return archive_from_members(members)
    if "hash" in fields:
        # Out of a state, which remembers the sum alone.
        return Asset(fields["hash"].string_value, AssetKind.ARCHIVE if is_archive else AssetKind.FILE)
    raise InvalidInput("The program sent an asset without a path or a text.")


def _encode(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN_TEXT
    if isinstance(value, Asset):
        return {SIGNATURE: ASSET_SIGNATURE, "hash": value.sha256, "text": ""}
    if isinstance(value, dict):
        return {name: _encode(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return value
