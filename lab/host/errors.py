"""What can go wrong with the embedded instance; each error's text is the sentence for the person who reads it."""


class InstanceError(Exception):
    """Base of all errors of the embedded instance."""


class CommandFailed(InstanceError):
    """A program that the lab started ended badly, or did not end in time."""


class RootImageFailed(InstanceError):
    """The root that instances boot from could not be built."""


class MachineFailed(InstanceError):
    """A machine did not do what was asked of it: it did not boot, has already ended, or ran out of time."""
