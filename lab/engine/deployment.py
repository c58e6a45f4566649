"""One deployment of one stack: turns what the program registers into calls of handlers, and keeps the state true."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from lab.engine.diff import Action, Goal, Plan, deletion_order, dependents_to_replace, plan
from lab.engine.errors import DuplicateUrn, ProtectedResource
from lab.engine.state import StackState, StateStore
from lab.moto.server import EmbeddedAws
from lab.resources.aws_errors import AWS_ERRORS, sentence_of
from lab.resources.changes import with_ignored_changes
from lab.resources.errors import EngineError, InvalidInput, RefusedByAws, UnknownResourceType
from lab.resources.handlers import RULES, handler_of
from lab.resources.handlers.base import Handler
from lab.resources.region import Region, default_tags
from lab.resources.resource import Resource
from lab.resources.shapes import check_shape
from lab.resources.values import UNKNOWN, Inputs, contains_unknown

PROVIDER_PREFIX = "pulumi:providers:"
AWS_PROVIDER = "pulumi:providers:aws"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done, or in a preview to be done."""

    action: Action
    urn: str


class Deployment:
    """Works on `state`; a preview works on a copy of it, calls no handler that changes anything and saves nothing."""

    def __init__(self, aws: EmbeddedAws, store: StateStore, state: StackState, cloud: Region, *, preview: bool) -> None:
        self._aws = aws
        self._store = store
        self._cloud = cloud
        self._preview = preview
        self.state = copy.deepcopy(state) if preview else state
        self.steps: list[Step] = []
        self._seen: dict[str, Resource] = {}
        self._replaced: set[str] = set()
        self._deleted_first: set[str] = set()

    def cloud_of(self, provider: str, inputs: Inputs) -> Region:
        """Return the region that a resource's own input or its explicit provider chooses, else the stack's."""
        owner = self._seen.get(provider.rpartition("::")[0])
        settings = owner.inputs if owner is not None else {}
        region = inputs.get("region") or settings.get("region") or self._cloud.region
        tags = default_tags(settings.get("defaultTags")) if owner is not None else self._cloud.default_tags
        if region is UNKNOWN or (region == self._cloud.region and owner is None):
            return self._cloud
        return Region(self._aws, str(region), tags)

    def register_untracked(self, goal: Goal) -> Resource:
        """Record a component, a provider or the stack itself: nothing of AWS's."""
        self._refuse_duplicate(goal.urn)
        identifier = f"{goal.name}-provider" if goal.type.startswith(PROVIDER_PREFIX) else ""
        resource = _resource_of(goal, identifier, goal.inputs, self._cloud.region)
        if goal.type.startswith(PROVIDER_PREFIX) and goal.type != AWS_PROVIDER:
            raise UnknownResourceType(f"The embedded AWS has no provider {goal.type.removeprefix(PROVIDER_PREFIX)}.")
        return self._keep(resource)

    def register(self, goal: Goal) -> Resource:
        """Create, update, replace or leave alone one resource, and return it with its outputs.

        Raises:
            EngineError: the resource was refused; the state is as true as before.
        """
        self._refuse_duplicate(goal.urn)
        handler = handler_of(goal.type)
        described = f"{goal.type} '{goal.name}'"
        check_shape(handler.shape, goal.inputs, described)
        old = self._adopt(goal)
        if old is not None:
            goal = replace(goal, inputs=with_ignored_changes(old.inputs, goal.inputs, goal.ignore_changes))
        cloud = self.cloud_of(goal.provider, goal.inputs)
        try:
            handler.check(cloud, goal.inputs)
            decided = plan(old, goal, RULES[goal.type], self._replaced)
            return self._keep(self._carry_out(decided, old, goal, handler, cloud))
        except AWS_ERRORS as error:
            raise RefusedByAws(f"{described} was refused: {self._sentence(error)}") from error
        except InvalidInput as error:
            raise InvalidInput(f"{described}: {error}") from error

    def read(self, goal: Goal, identifier: str) -> Resource:
        """Look up a resource that somebody else made.

        Raises:
            InvalidInput: AWS has no such resource.
        """
        self._refuse_duplicate(goal.urn)
        cloud = self.cloud_of(goal.provider, goal.inputs)
        outputs = handler_of(goal.type).read(cloud, identifier)
        if outputs is None:
            raise InvalidInput(f"{goal.type} '{goal.name}': there is no '{identifier}' in {cloud.region}.")
        resource = replace(_resource_of(goal, identifier, outputs, cloud.region), external=True)
        self.steps.append(Step(Action.READ, goal.urn))
        return self._keep(resource)

    def read_stack(self, goal: Goal, outputs: Inputs) -> Resource:
        """Record a reference to another stack."""
        self._refuse_duplicate(goal.urn)
        return self._keep(replace(_resource_of(goal, goal.name, outputs, ""), external=True))

    def finish(self, outputs: Inputs, secret_outputs: Collection[str]) -> None:
        """Delete what the program no longer registers, newest first, and remember the stack's outputs.

        Raises:
            ProtectedResource: something gone is protected or holds data; nothing was deleted then.
        """
        gone = [resource for urn, resource in self.state.resources.items() if urn not in self._seen]
        refusals = self.refusals(gone)
        if refusals:
            raise ProtectedResource(" ".join(refusals))
        self.delete(gone)
        self.state.reorder(self._seen)
        self.state.outputs = outputs
        self.state.secret_outputs = tuple(sorted(secret_outputs))
        self._save()

    def refusals(self, doomed: Sequence[Resource], *, unprotect: bool = False) -> list[str]:
        """Return a sentence for each resource that must not be deleted."""
        sentences = []
        for resource in doomed:
            if not resource.custom or resource.external or resource.type == AWS_PROVIDER:
                continue
            if resource.protect and not unprotect:
                sentences.append(f"{resource.type} '{resource.name}' ({resource.id}) is protected.")
            elif not resource.retain_on_delete:
                sentence = handler_of(resource.type).refusal(self._cloud_at(resource), resource, doomed)
                sentences += [sentence] if sentence else []
        return sentences

    def delete(self, doomed: Sequence[Resource]) -> None:
        """Delete these and whatever earlier replacements left behind, in the reverse order of their dependencies.

        Raises:
            RefusedByAws: AWS refused one; those before it are gone and no longer in the state.
        """
        condemned = list(reversed(self.state.condemned))
        leaving = {resource.urn for resource in doomed}
        for resource in deletion_order([*doomed]) + condemned:
            self._delete_one(resource, leaving)

    def _carry_out(self, decided: Plan, old: Resource | None, goal: Goal, handler: Handler, cloud: Region) -> Resource:
        action = decided.action
        if action is Action.CREATE and goal.urn in self._deleted_first:
            action = Action.REPLACE
        if action is not Action.SAME:
            self.steps.append(Step(action, goal.urn))
        if decided.action is Action.REPLACE and old is not None:
            self._condemn(old, decided)
            self._replaced.add(goal.urn)
        if decided.action in (Action.CREATE, Action.REPLACE):
            if self._preview:
                return _resource_of(goal, "", goal.inputs, cloud.region)
            created = handler.create(cloud, goal.name, goal.inputs)
            return _resource_of(goal, created.id, {**goal.inputs, **created.outputs}, cloud.region)
        if decided.action is Action.IMPORT:
            found = handler.read(cloud, goal.import_id)
            if found is None:
                raise InvalidInput(f"there is no '{goal.import_id}' to import")
            return _resource_of(goal, goal.import_id, {**goal.inputs, **found}, cloud.region)
        if old is None:
            raise EngineError(f"{goal.urn} cannot be updated, since it does not exist.")
        if decided.action is Action.SAME:
            return _resource_of(goal, old.id, old.outputs, old.region)
        if self._preview:
            fresh = dict.fromkeys(handler.volatile, UNKNOWN)
            return _resource_of(goal, old.id, {**old.outputs, **goal.inputs, **fresh}, old.region)
        answered = handler.update(cloud, old, goal.inputs)
        kept = {key: value for key, value in old.outputs.items() if key not in old.inputs}
        return _resource_of(goal, old.id, {**kept, **goal.inputs, **answered}, old.region)

    def _condemn(self, old: Resource, decided: Plan) -> None:
        """Prepare a replacement: delete the old one now if both cannot exist, else after the program."""
        first = (
            dependents_to_replace(old.urn, list(self.state.resources.values()), RULES) if decided.delete_first else []
        )
        refusals = self.refusals([old, *first])
        if refusals:
            keys = ", ".join(decided.replacing)
            raise ProtectedResource(f"A change of {keys} would replace {old.name}: {' '.join(refusals)}")
        if decided.delete_first:
            doomed = [resource for resource in first if resource.urn not in self._seen]
            self._deleted_first |= {resource.urn for resource in doomed}
            for resource in [*doomed, old]:
                self._delete_one(resource, {each.urn for each in doomed}, record=False)
        else:
            self.state.condemned.append(old)

    def _delete_one(self, resource: Resource, leaving: Collection[str], *, record: bool = True) -> None:
        ours = resource.custom and not resource.external and resource.type != AWS_PROVIDER
        keeps = resource.retain_on_delete or (resource.deleted_with != "" and resource.deleted_with in leaving)
        if record and resource.custom and resource not in self.state.condemned:
            self.steps.append(Step(Action.FORGET if keeps or not ours else Action.DELETE, resource.urn))
        if ours and not keeps and not self._preview:
            try:
                handler_of(resource.type).delete(self._cloud_at(resource), resource)
            except AWS_ERRORS as error:
                sentence = f"{resource.type} '{resource.name}' could not be deleted: {self._sentence(error)}"
                raise RefusedByAws(sentence) from error
        if resource in self.state.condemned:
            self.state.condemned.remove(resource)
        elif self.state.resources.get(resource.urn) == resource:
            del self.state.resources[resource.urn]
        self._save()

    def _adopt(self, goal: Goal) -> Resource | None:
        """Return the resource's last state, found under its URN or one of its aliases."""
        for urn in (goal.urn, *goal.aliases):
            old = self.state.resources.get(urn)
            if old is not None and urn not in self._seen:
                if urn != goal.urn:
                    del self.state.resources[urn]
                    old = self.state.resources[goal.urn] = replace(old, urn=goal.urn)
                return old
        return None

    def _keep(self, resource: Resource) -> Resource:
        self._seen[resource.urn] = resource
        self.state.resources[resource.urn] = resource
        self._save()
        return resource

    def _save(self) -> None:
        if not self._preview:
            self._store.save(self.state)

    def _refuse_duplicate(self, urn: str) -> None:
        if urn in self._seen:
            raise DuplicateUrn(f"Two resources have the URN {urn}; give one of them another name.")

    def _sentence(self, error: Exception) -> str:
        return sentence_of(error, self._aws)

    def _cloud_at(self, resource: Resource) -> Region:
        return Region(self._aws, resource.region or self._cloud.region, self._cloud.default_tags)


def _resource_of(goal: Goal, identifier: str, outputs: Inputs, region: str) -> Resource:
    return Resource(
        urn=goal.urn,
        type=goal.type,
        name=goal.name,
        id=identifier,
        inputs=goal.inputs,
        outputs=outputs,
        custom=goal.custom,
        parent=goal.parent,
        protect=goal.protect,
        retain_on_delete=goal.retain_on_delete,
        deleted_with=goal.deleted_with,
        provider=goal.provider,
        dependencies=goal.dependencies,
        property_dependencies=goal.property_dependencies,
        secret_inputs=goal.secret_inputs,
        secret_outputs=goal.secret_outputs,
        replacement_trigger=None if contains_unknown(goal.replacement_trigger) else goal.replacement_trigger,
        region=region,
    )
