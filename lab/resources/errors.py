"""Why a resource or a function is refused; each message is one sentence for the user."""


class EngineError(Exception):
    """Root of every error that is raised on purpose while a program is deployed into the embedded AWS."""


class ProgramFailed(EngineError):
    """The Pulumi program, or a resource that it registered, was refused; nothing was created after that."""


class UnknownResourceType(ProgramFailed):
    """The program registered a resource type that no handler serves."""


class UnknownInvoke(ProgramFailed):
    """The program called a provider function that nothing answers."""


class InvalidInput(ProgramFailed):
    """An input has a key, type or value that the real provider or AWS would refuse."""


class RefusedByAws(ProgramFailed):
    """The embedded AWS refused a request that a handler sent."""


class DestroyRefused(EngineError):
    """A destroy was refused before anything was deleted."""


class InvokeRefused(Exception):
    """AWS knows no answer to a provider function; the program may catch it, as with the real provider."""
