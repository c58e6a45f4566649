"""What can go wrong while a program is deployed into the embedded AWS; each message is one sentence for the user."""


class EngineError(Exception):
    """Root of every error that the embedded engine raises on purpose."""


class ProgramFailed(EngineError):
    """The Pulumi program, or a resource that it registered, was refused; nothing was created after that."""


class UnknownResourceType(ProgramFailed):
    """The program registered a resource type that no handler serves."""


class UnknownInvoke(ProgramFailed):
    """The program called a provider function that the engine does not answer."""


class InvalidInput(ProgramFailed):
    """An input has a key, type or value that the real provider or AWS would refuse."""


class RefusedByAws(ProgramFailed):
    """The embedded AWS refused a request that a handler sent."""


class DuplicateUrn(ProgramFailed):
    """Two resources of one program have the same type, parent and name."""


class MissingStack(ProgramFailed):
    """A stack was referred to that has never been deployed."""


class ProtectedResource(ProgramFailed):
    """An update would delete or replace a resource that is protected or that holds data."""


class DestroyRefused(EngineError):
    """A destroy was refused before anything was deleted."""


class InvokeRefused(Exception):
    """AWS knows no answer to a provider function; the program may catch it, as with the real provider."""
