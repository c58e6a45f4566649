"""What the stand-in for Pulumi's engine refuses by itself; each message is one sentence for the user."""

from lab.resources.errors import ProgramFailed


class DuplicateUrn(ProgramFailed):
    """Two resources of one program have the same type, parent and name."""


class MissingStack(ProgramFailed):
    """A stack was referred to that has never been deployed."""


class ProtectedResource(ProgramFailed):
    """An update would delete or replace a resource that is protected or that holds data."""
