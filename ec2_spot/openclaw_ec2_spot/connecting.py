"""The commands and links a person needs to reach the instance; each is typed as it stands."""

from openclaw_platform.names import Scope

GATEWAY_PORT = 18789
"""Where OpenClaw listens, on the instance's loopback only."""


def shell_command(scope: Scope) -> str:
    """Open a shell on the instance through Session Manager (needs the AWS CLI's session-manager-plugin)."""
    return f"aws ssm start-session --region {scope.region} --target {_running_instance(scope)}"


def gateway_command(scope: Scope) -> str:
    """Bring the gateway to http://localhost:18789 through Session Manager."""
    ports = f'{{"portNumber":["{GATEWAY_PORT}"],"localPortNumber":["{GATEWAY_PORT}"]}}'
    return f"{shell_command(scope)} --document-name AWS-StartPortForwardingSession --parameters '{ports}'"


def dashboard_link(scope: Scope) -> str:
    """The stack's dashboard in the AWS console."""
    console = f"https://{scope.region}.console.aws.amazon.com/cloudwatch/home?region={scope.region}"
    return f"{console}#dashboards/dashboard/{scope.dashboard}"


def _running_instance(scope: Scope) -> str:
    """Found when the command is typed, since the group replaces its instance; not the one that is on its way out."""
    return (
        f'"$(aws autoscaling describe-auto-scaling-groups --region {scope.region} '
        f"--auto-scaling-group-names {scope.name} "
        '--query "AutoScalingGroups[0].Instances[?LifecycleState==\'InService\'].InstanceId | [0]" --output text)"'
    )
