"""Why a deployment cannot start, told in one sentence before anything is created."""


class DeploymentRefused(Exception):
    """A deployment that must not start; its text is one sentence for the person who typed `pulumi up`."""


class ConfigRefused(DeploymentRefused):
    """A configuration value that is missing or not allowed."""


class PlatformStackMissing(DeploymentRefused):
    """The platform stack is not deployed, cannot be read, or lacks an output."""


class WheelsUnavailable(DeploymentRefused):
    """The agent's pinned wheels are neither in the wheel folder nor to be had from the package index."""


class ReleaseIncomplete(DeploymentRefused):
    """A part of the release is missing from the repository."""
