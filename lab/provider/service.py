"""Pulumi's provider protocol in front of the handlers, for the real engine (`pulumi` and its Automation API).

Method and field names are the protocol's (pulumi/proto/provider.proto). Whatever is refused is told in the handlers'
own sentence: as a failed check where a property is wrong, as the error of the call where AWS refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

import grpc  # type: ignore[import-untyped]
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from lab.moto.server import EmbeddedAws
from lab.resources import wire
from lab.resources.aws_errors import AWS_ERRORS, sentence_of
from lab.resources.changes import cannot_exist_twice, changed_keys, with_ignored_changes
from lab.resources.errors import EngineError, InvalidInput
from lab.resources.handlers import RULES, handler_of
from lab.resources.handlers.base import Handler
from lab.resources.invokes import answer
from lab.resources.region import Region, default_tags
from lab.resources.resource import Resource
from lab.resources.shapes import check_shape
from lab.resources.values import UNKNOWN, Inputs, same

VERSION = "7.51.1"
"""What the real provider would say: the engine compares it with the version that a program asks for."""
T = TypeVar("T")


class ProviderService(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one engine's requests; every request is answered from its own fields, so that nothing is kept here."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self._aws = aws
        self._cloud = Region(aws, aws.region)

    def Handshake(self, _request: Any, _context: Any) -> Any:
        """Say what is understood."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=False, accept_outputs=False)

    def Attach(self, _request: Any, _context: Any) -> Any:
        """Take the engine's address, which is not needed."""
        return empty_pb2.Empty()

    def GetPluginInfo(self, _request: Any, _context: Any) -> Any:
        """Say the version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: Any, _context: Any) -> Any:
        """Take the provider's configuration as it is."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, _request: Any, _context: Any) -> Any:
        """A change of the provider's configuration replaces nothing."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, _context: Any) -> Any:
        """Take region and default tags."""
        given, _ = wire.decode(request.args)
        tags = given.get("defaultTags")
        self._cloud = Region(self._aws, str(given.get("region") or self._aws.region), default_tags(tags))
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True, acceptResources=False)

    def Check(self, request: Any, context: Any) -> Any:
        """Refuse what AWS would refuse, before anything is touched."""
        kind, inputs = _type_of(request.urn), wire.decode(request.news)[0]
        handler = self._asked(context, lambda: handler_of(kind))
        try:
            check_shape(handler.shape, inputs, kind)
            handler.check(self._cloud_of(inputs), inputs)
        except InvalidInput as refusal:
            failure = provider_pb2.CheckFailure(property="", reason=str(refusal))
            return provider_pb2.CheckResponse(inputs=request.news, failures=[failure])
        except AWS_ERRORS as error:
            context.abort(grpc.StatusCode.UNKNOWN, self._sentence(error))
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        """Say which properties changed, and which of them need a new resource."""
        kind = _type_of(request.urn)
        self._asked(context, lambda: handler_of(kind))
        old, new = wire.decode(request.old_inputs)[0], wire.decode(request.news)[0]
        new = with_ignored_changes(old, new, request.ignoreChanges)
        changed = changed_keys(old, new)
        replacing = [key for key in changed if key in RULES[kind].replace_on or key == "region"]
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=changed,
            replaces=replacing,
            deleteBeforeReplace=bool(replacing) and cannot_exist_twice(old, new, RULES[kind]),
            detailedDiff={path: how for key in changed for path, how in _details(key, old, new, key in replacing)},
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        """Create a resource, or in a preview say what is known of it."""
        if request.preview:
            return provider_pb2.CreateResponse(id="", properties=request.properties)
        inputs, secrets = wire.decode(request.properties)
        name = request.urn.rpartition("::")[2]
        handler = self._asked(context, lambda: handler_of(_type_of(request.urn)))
        created = self._asked(context, lambda: handler.create(self._cloud_of(inputs), name, inputs))
        return provider_pb2.CreateResponse(
            id=created.id, properties=_with(request.properties, created.outputs, secrets)
        )

    def Read(self, request: Any, context: Any) -> Any:
        """Look a resource up, for a refresh, an import or a `get`; one that is gone has no id."""
        handler = self._asked(context, lambda: handler_of(_type_of(request.urn)))
        if type(handler).read is Handler.read:
            return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
        found = self._asked(context, lambda: handler.read(self._cloud, request.id))
        if found is None:
            return provider_pb2.ReadResponse()
        inputs = request.inputs
        if not inputs.fields:
            inputs = wire.encode({key: value for key, value in found.items() if key in handler.shape.fields})
        return provider_pb2.ReadResponse(id=request.id, properties=_with(request.properties, found, ()), inputs=inputs)

    def Update(self, request: Any, context: Any) -> Any:
        """Bring a resource to new inputs in place."""
        handler = self._asked(context, lambda: handler_of(_type_of(request.urn)))
        old, old_inputs = wire.decode(request.olds)[0], wire.decode(request.old_inputs)[0]
        inputs, secrets = wire.decode(request.news)
        kept = {key: value for key, value in old.items() if key not in old_inputs}
        if request.preview:
            fresh = dict.fromkeys(handler.volatile, UNKNOWN)
            return provider_pb2.UpdateResponse(properties=_with(request.news, {**kept, **fresh}, secrets))
        current = _resource(request, old_inputs, old)
        answered = self._asked(context, lambda: handler.update(self._cloud_of(inputs), current, inputs))
        return provider_pb2.UpdateResponse(properties=_with(request.news, {**kept, **answered}, secrets))

    def Delete(self, request: Any, context: Any) -> Any:
        """Delete a resource, unless it holds what nobody agreed to lose."""
        handler = self._asked(context, lambda: handler_of(_type_of(request.urn)))
        old, old_inputs = wire.decode(request.properties)[0], wire.decode(request.old_inputs)[0]
        current, cloud = _resource(request, old_inputs, old), self._cloud_of(old)
        refusal = self._asked(context, lambda: handler.refusal(cloud, current, [current]))
        if refusal:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, refusal)
        self._asked(context, lambda: handler.delete(cloud, current))
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        """Answer a function."""
        arguments, _ = wire.decode(request.args)
        try:
            found = answer(request.tok, arguments, self._cloud_of(arguments))
        except EngineError as refusal:
            return provider_pb2.InvokeResponse(failures=[provider_pb2.CheckFailure(property="", reason=str(refusal))])
        except AWS_ERRORS as error:
            context.abort(grpc.StatusCode.UNKNOWN, self._sentence(error))
        return provider_pb2.InvokeResponse(**{"return": wire.encode(found)})

    def Cancel(self, _request: Any, _context: Any) -> Any:
        """Nothing waits here."""
        return empty_pb2.Empty()

    def _cloud_of(self, inputs: Mapping[str, Any]) -> Region:
        region = inputs.get("region")
        if not isinstance(region, str) or region == self._cloud.region:
            return self._cloud
        return Region(self._aws, region, self._cloud.default_tags)

    def _asked(self, context: Any, work: Callable[[], T]) -> T:
        try:
            return work()
        except AWS_ERRORS as error:
            context.abort(grpc.StatusCode.UNKNOWN, self._sentence(error))
        except EngineError as refusal:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(refusal))
        raise AssertionError("abort raises")

    def _sentence(self, error: Exception) -> str:
        return sentence_of(error, self._aws)


def _type_of(urn: str) -> str:
    # urn:pulumi:STACK::PROJECT::PARENTTYPE$…$TYPE::NAME
    return urn.split("::")[2].rpartition("$")[2]


def _resource(request: Any, inputs: Inputs, outputs: Inputs) -> Resource:
    kind, name = _type_of(request.urn), request.urn.rpartition("::")[2]
    region = str(inputs.get("region") or "")
    return Resource(request.urn, kind, name, request.id, inputs, outputs, region=region)


def _with(properties: Any, computed: Inputs, secrets: Collection[str]) -> Any:
    """The properties as the engine sent them, assets and secrets as marked by it, and what was computed besides."""
    merged = type(properties)()
    merged.CopyFrom(properties)
    merged.MergeFrom(wire.encode({key: value for key, value in computed.items() if key not in properties.fields}))
    for key, value in wire.encode(
        {k: v for k, v in computed.items() if k in properties.fields}, secrets
    ).fields.items():
        merged.fields[key].CopyFrom(value)
    return merged


def _details(key: str, old: Inputs, new: Inputs, replaces: bool) -> Iterator[tuple[str, Any]]:
    """Name each changed property by its path, as the CLI prints it."""
    for path, before, after in _differences(key, old.get(key), new.get(key)):
        how = "ADD" if before is None else "DELETE" if after is None else "UPDATE"
        kind = getattr(provider_pb2.PropertyDiff, how + ("_REPLACE" if replaces else ""))
        yield path, provider_pb2.PropertyDiff(kind=kind, inputDiff=True)


def _differences(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            if not same(old.get(key), new.get(key)):
                yield from _differences(f"{path}.{key}", old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            if not same(before, after):
                yield from _differences(f"{path}[{number}]", before, after)
    else:
        yield path, old, new
