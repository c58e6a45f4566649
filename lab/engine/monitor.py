"""What a running Pulumi program talks to in place of the CLI's engine: the resource monitor and the log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import grpc  # type: ignore[import-untyped]
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2, resource_pb2

from lab.engine.deployment import PROVIDER_PREFIX, Deployment
from lab.engine.diff import Goal
from lab.engine.errors import MissingStack
from lab.engine.state import StackState
from lab.resources import wire
from lab.resources.errors import EngineError, InvalidInput, InvokeRefused, ProgramFailed
from lab.resources.invokes import answer
from lab.resources.resource import Resource
from lab.resources.values import Inputs

STACK_TYPE = "pulumi:pulumi:Stack"
STACK_REFERENCE_TYPE = "pulumi:pulumi:StackReference"
READ_STACK_OUTPUTS = "pulumi:pulumi:readStackOutputs"
FEATURES = {
    "secrets": resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    "deletedWith": resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    "replaceWith": resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
    "replacementTrigger": resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
}
"""What is served. Left out on purpose: transforms and hooks (they need a callback server) and alias specs (without
them the SDK computes the URNs of aliases itself); the SDK then refuses a program that uses them."""

T = TypeVar("T")
log = logging.getLogger("lab.engine.program")


class CatchableRefusal(grpc.RpcError):  # type: ignore[misc]
    """The form in which the SDK hands a failed invoke to the program as an exception that it may catch."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self._sentence = sentence

    def code(self) -> grpc.StatusCode:
        """Return the status, as the SDK asks for it."""
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        """Return the sentence, as the SDK asks for it."""
        return self._sentence


class Monitor:
    """Serves one program's run. After the first failure everything else is refused, so nothing more is created.

    Its methods have the names of Pulumi's gRPC service, since the SDK calls them instead of a stub's.
    """

    def __init__(
        self, project: str, stack: str, deployment: Deployment, find_stack: Callable[[str], StackState]
    ) -> None:
        self._project = project
        self._stack = stack
        self._deployment = deployment
        self._find_stack = find_stack
        self._lock = threading.Lock()
        self._stack_urn = ""
        self.failure: Exception | None = None
        self.outputs: Inputs = {}
        self.secret_outputs: frozenset[str] = frozenset()

    def fail(self, error: Exception) -> None:
        """Remember the first failure; everything after it is refused."""
        self.failure = self.failure or error

    def GetDeploymentInfo(self, _request: Any) -> Any:
        """Say which features of the protocol are served."""
        return resource_pb2.DeploymentInfo(supportedFeatures=list(FEATURES.values()))

    def SupportsFeature(self, request: Any) -> Any:
        """Say whether one feature is served (the question of older SDKs)."""
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in FEATURES)

    def RegisterResource(self, request: Any) -> Any:
        """Create or update a resource, or record a component."""
        resource = self._guarded(lambda: self._register(request))
        return resource_pb2.RegisterResourceResponse(
            urn=resource.urn, id=resource.id, object=wire.encode(resource.outputs, _secrets(resource))
        )

    def ReadResource(self, request: Any) -> Any:
        """Look up an existing resource, or another stack's outputs."""
        resource = self._guarded(lambda: self._read(request))
        return resource_pb2.ReadResourceResponse(
            urn=resource.urn, id=resource.id, properties=wire.encode(resource.outputs, _secrets(resource))
        )

    def RegisterResourceOutputs(self, request: Any) -> Any:
        """Take the outputs of the stack; those of components are not needed."""

        def take() -> None:
            if request.urn == self._stack_urn:
                self.outputs, self.secret_outputs = wire.decode(request.outputs)

        self._guarded(take)
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:
        """Answer a provider function through boto3."""
        arguments, _ = wire.decode(request.args)

        def ask() -> Inputs:
            if request.tok == READ_STACK_OUTPUTS:
                return self._stack_outputs(str(arguments.get("name")))
            return answer(request.tok, arguments, self._deployment.cloud_of(request.provider, arguments))

        with self._lock:
            self._refuse_after_failure()
            try:
                result = ask()
            except (InvokeRefused, MissingStack) as refusal:
                raise CatchableRefusal(str(refusal)) from refusal
            except Exception as error:
                self.fail(error)
                raise
        return resource_pb2.ResourceInvokeResponse(**{"return": wire.encode(result)})

    def Call(self, request: Any) -> Any:
        """Refuse a method of a resource: no type served here has one."""
        return self._guarded(lambda: _refuse(f"The embedded AWS does not serve the method {request.tok}."))

    def RegisterPackage(self, request: Any) -> Any:
        """Refuse a parameterized provider."""
        return self._guarded(lambda: _refuse(f"The embedded AWS does not serve the package {request.name}."))

    def SignalAndWaitForShutdown(self, _request: Any) -> Any:
        """Let the program end."""
        return empty_pb2.Empty()

    def _guarded(self, work: Callable[[], T]) -> T:
        with self._lock:
            self._refuse_after_failure()
            try:
                return work()
            except Exception as error:
                self.fail(error)
                raise

    def _refuse_after_failure(self) -> None:
        if self.failure is not None:
            raise ProgramFailed("Nothing more is created after a failure.") from self.failure

    def _register(self, request: Any) -> Resource:
        if request.remote:
            raise InvalidInput(f"{request.type} '{request.name}' is a remote component, which is not served.")
        goal = self._goal(request, request.object)
        if request.type == STACK_TYPE:
            self._stack_urn = goal.urn
        if not request.custom or request.type.startswith(PROVIDER_PREFIX):
            return self._deployment.register_untracked(goal)
        return self._deployment.register(goal)

    def _read(self, request: Any) -> Resource:
        goal = self._goal(request, request.properties)
        if request.type != STACK_REFERENCE_TYPE:
            return self._deployment.read(goal, request.id)
        return self._deployment.read_stack(goal, self._stack_outputs(request.id))

    def _stack_outputs(self, name: str) -> Inputs:
        referred = self._find_stack(name)
        return {
            "name": name,
            "outputs": dict(referred.outputs),
            "secretOutputNames": list(referred.secret_outputs),
        }

    def _goal(self, request: Any, wire_inputs: Any) -> Goal:
        inputs, secrets = wire.decode(wire_inputs)
        custom = getattr(request, "custom", True)
        trigger = None
        if hasattr(request, "replacement_trigger") and request.HasField("replacement_trigger"):
            trigger = wire.decode_value(request.replacement_trigger)
        return Goal(
            urn=self._urn(request.parent, request.type, request.name),
            type=request.type,
            name=request.name,
            inputs={key: value for key, value in inputs.items() if value is not None},
            custom=custom,
            parent=request.parent,
            protect=getattr(request, "protect", False),
            retain_on_delete=getattr(request, "retainOnDelete", False),
            provider=request.provider,
            deleted_with=getattr(request, "deletedWith", ""),
            import_id=getattr(request, "importId", ""),
            delete_before_replace=_delete_before_replace(request),
            dependencies=tuple(request.dependencies),
            property_dependencies={
                key: list(found.urns) for key, found in getattr(request, "propertyDependencies", {}).items()
            },
            aliases=tuple(getattr(request, "aliasURNs", ())),
            ignore_changes=tuple(getattr(request, "ignoreChanges", ())),
            replace_on_changes=tuple(getattr(request, "replaceOnChanges", ())),
            replace_with=tuple(getattr(request, "replace_with", ())),
            replacement_trigger=trigger,
            secret_inputs=tuple(sorted(secrets)),
            secret_outputs=tuple(request.additionalSecretOutputs),
        )

    def _urn(self, parent: str, kind: str, name: str) -> str:
        parent_type = parent.split("::")[2] if parent else ""
        qualified = kind if parent_type in ("", STACK_TYPE) else f"{parent_type}${kind}"
        return f"urn:pulumi:{self._stack}::{self._project}::{qualified}::{name}"


class ProgramLog:
    """The engine's log service: a program's messages go to Python's logging, and an error fails the deployment."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def Log(self, request: Any) -> Any:
        """Take one message."""
        levels = {engine_pb2.INFO: logging.INFO, engine_pb2.WARNING: logging.WARNING, engine_pb2.ERROR: logging.ERROR}
        log.log(levels.get(request.severity, logging.DEBUG), "%s", request.message)
        if request.severity == engine_pb2.ERROR:
            self._monitor.fail(ProgramFailed(request.message))
        return empty_pb2.Empty()


def find_stack_by_name(
    name: str, organization: str, project: str, load: Callable[[str, str], StackState | None]
) -> StackState:
    """Return the stack that `<organization>/<project>/<stack>` or `<stack>` of the same project names.

    Raises:
        MissingStack: it was never deployed, or belongs to another organization.
    """
    parts = name.split("/")
    if len(parts) not in (1, 3):
        raise MissingStack(f"The stack reference '{name}' must be <organization>/<project>/<stack>.")
    if len(parts) == 3 and parts[0] != organization:
        raise MissingStack(f"The stack '{name}' is not in this engine's organization '{organization}'.")
    state = load(parts[-2] if len(parts) == 3 else project, parts[-1])
    if state is None or not state.resources:
        raise MissingStack(f"The stack '{name}' has not been deployed; deploy it first.")
    return state


def _secrets(resource: Resource) -> list[str]:
    marked = {*resource.secret_inputs, *resource.secret_outputs}
    return [key for key in resource.outputs if key in marked]


def _delete_before_replace(request: Any) -> bool | None:
    if not getattr(request, "deleteBeforeReplaceDefined", False):
        return None
    return bool(request.deleteBeforeReplace)


def _refuse(sentence: str) -> None:
    raise EngineError(sentence)
