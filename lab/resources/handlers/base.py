"""What a handler of one resource type is."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from lab.resources.errors import EngineError
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import TEXT, Shape, an_object
from lab.resources.values import Inputs

GONE_CODES = ("NotFound", "NoSuch", "DoesNotExist", "ResourceNotFound", "404")
RANDOM_SUFFIX_LENGTH = 7


@dataclass(frozen=True, slots=True)
class Created:
    """A new resource's provider id and its computed outputs; the engine adds the inputs."""

    id: str
    outputs: Inputs


class Handler(ABC):
    """Creates, updates, reads and deletes one resource type through boto3.

    `shape` is what the inputs may hold. A change of a key in `replace_on` needs a new resource. `name_key` is the
    input that is the resource's name at AWS: a replacement under the same name must delete first. `unique` types have
    no name but still cannot exist twice. `volatile` outputs are new after every update, so a preview calls them
    unknown.
    """

    type: ClassVar[str]
    shape: ClassVar[Shape]
    replace_on: ClassVar[frozenset[str]] = frozenset()
    name_key: ClassVar[str | None] = None
    unique: ClassVar[bool] = False
    volatile: ClassVar[frozenset[str]] = frozenset()

    def check(self, cloud: Region, inputs: Inputs) -> None:  # noqa: B027 - most types need no check
        """Refuse what AWS would refuse and moto takes; inputs may be unknown, in previews.

        Raises:
            InvalidInput: with the sentence for the user.
        """

    @abstractmethod
    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the resource; `name` is its logical name in the program."""

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Bring an existing resource to new inputs, and return its computed outputs."""
        raise EngineError(f"{self.type} cannot be updated in place.")

    def read(self, cloud: Region, identifier: str) -> Inputs | None:
        """Return the outputs of an existing resource, None if it is not there."""
        raise EngineError(f"{self.type} cannot be read by its id yet.")

    @abstractmethod
    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the resource; one that is gone already is no error."""

    def refusal(self, cloud: Region, current: Resource, doomed: Collection[Resource]) -> str | None:
        """Return the sentence why the resource must not be deleted along with the `doomed` ones, None if it may."""
        return None


def resource_inputs(required: str = "", /, **fields: Shape) -> Shape:
    """Return the shape of a resource's inputs; every resource of the provider takes a region."""
    return an_object(required, region=TEXT, **fields)


def physical_name(logical: str, inputs: Mapping[str, Any], key: str = "name", prefix_key: str = "namePrefix") -> str:
    """Return the name at AWS: the one given, else one with a random ending as Pulumi makes it."""
    given = inputs.get(key)
    if given:
        return str(given)
    stem = inputs.get(prefix_key) or f"{logical}-"
    return f"{stem}{secrets.token_hex(RANDOM_SUFFIX_LENGTH)[:RANDOM_SUFFIX_LENGTH]}"


def is_gone(error: ClientError) -> bool:
    """Tell whether AWS said that the thing does not exist."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return any(mark in code for mark in GONE_CODES)


class ignoring_gone:
    """A `with` block in which a thing that is gone already is no error."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        return isinstance(error, ClientError) and is_gone(error)
