"""`openclaw-lab outputs`: what the stack's things are called, and the notes' own lines for reaching them."""

import argparse

from openclaw_agent.history.tables import Table
from openclaw_ec2_spot.connecting import dashboard_link, gateway_command, shell_command
from operator_tools.account.errors import ExitCode
from operator_tools.program.output import Output
from operator_tools.stack.stack import Stack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing."""


def run(options: argparse.Namespace, out: Output) -> int:
    """Print them; every name follows from stack, region and account."""
    stack = Stack.of(options)
    scope = stack.scope
    rows = {
        "region": stack.region,
        "group": stack.place.group,
        "backup_bucket": scope.backup_bucket,
        "scripts_bucket": scope.scripts_bucket,
        "alarm_topic": scope.alarm_topic,
        "secrets_path": scope.secrets_path,
        "agent_log_group": scope.agent_log_group,
        "gateway_log_group": scope.gateway_log_group,
        "metric_namespace": scope.metric_namespace,
        "dashboard": dashboard_link(scope),
        "connect_command": shell_command(scope),
        "tunnel_command": gateway_command(scope),
    }
    # Names alone say nothing of whether anything is there.
    group = stack.group()
    out.document({"stack": stack.name, **rows, "instances": [name for name, _zone, _state in group.members]})
    out.table(Table(("output", "value"), tuple(rows.items())))
    out.next(stack.words("connect") + ", or " + stack.words("tunnel"))
    return ExitCode.DONE
