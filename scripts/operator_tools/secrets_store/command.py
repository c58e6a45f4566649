"""`openclaw-lab secrets`."""

import argparse
import getpass
import re
import secrets
import sys
from collections.abc import Mapping

import botocore.exceptions as aws_errors

from openclaw_agent.history.tables import Table
from openclaw_agent.host.gateway_secrets import TOKEN_NAME
from operator_tools.account.errors import AccountError, ExitCode
from operator_tools.instance.run_command import run_on_instance
from operator_tools.program.output import Output
from operator_tools.settings.stack_config import EC2_SPOT, read_stack_config
from operator_tools.stack.stack import NotThere, Stack

VERBS = ("check", "put", "show", "apply")
MODEL_KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY")
"""Of which a gateway needs one, unless its own set-up has been given a login (openclaw onboard)."""
LARGEST_VALUE = 4096
"""Characters of a standard parameter; more costs (SSM's quotas)."""
RESTART_SECONDS = 1300
"""The unit's own limits, of its stop and of its start, together."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")


class WrongSecret(AccountError):
    """A name or a value that cannot be a variable of the gateway."""

    exit_code = ExitCode.USAGE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own words."""
    parser.add_argument(
        "verb",
        nargs="?",
        choices=VERBS,
        default="check",
        help="check (default): names alone; apply: restart the gateway",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the variable, such as ANTHROPIC_API_KEY")
    parser.add_argument("--generate", action="store_true", help="put: a new random value, as for the gateway's token")


def run(options: argparse.Namespace, out: Output) -> int:
    """Do what was asked for."""
    stack = Stack.of(options)
    if options.verb == "check":
        return _check(stack, out)
    if options.verb == "apply":
        return _apply(stack, out)
    name = options.name or ""
    if not _NAME.fullmatch(name):
        raise WrongSecret(
            f"{name!r} is no name of a variable; allowed are letters, digits and _, such as {TOKEN_NAME}."
        )
    return _show(stack, name, out) if options.verb == "show" else _put(stack, name, options, out)


def stored_names(stack: Stack) -> Mapping[str, str]:
    """Return when each secret was last changed, by name; no value is read."""
    found: dict[str, str] = {}
    path = stack.scope.secrets_path
    with stack.account.told_in_a_sentence("ssm", "GetParametersByPath"):
        for page in stack.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=path):
            for row in page["Parameters"]:
                found[row["Name"].removeprefix(path)] = f"{row['LastModifiedDate']:%Y-%m-%d %H:%M}"
    return found


def missing(names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what a first conversation needs and nobody stored: what it is, and the words that store it."""
    lacks = [] if TOKEN_NAME in names else [("the gateway's token", f"secrets put {TOKEN_NAME} --generate")]
    if not any(key in names for key in MODEL_KEYS):
        lacks.append(("a model key", f"secrets put {MODEL_KEYS[0]}"))
    return lacks


def store_secret(stack: Stack, name: str, value: str) -> None:
    """Store one variable, encrypted with the stack's own key where one is configured."""
    key = read_stack_config(EC2_SPOT, stack.name).get("kms_key_arn")
    encrypted = {"KeyId": key} if key else {}
    with stack.account.told_in_a_sentence("ssm", "PutParameter"):
        stack.client("ssm").put_parameter(
            Name=stack.scope.secrets_path + name, Value=value, Type="SecureString", Overwrite=True, **encrypted
        )


def _check(stack: Stack, out: Output) -> int:
    names = stored_names(stack)
    lacks = missing(names)
    out.document(
        {
            "stack": stack.name,
            "path": stack.scope.secrets_path,
            "secrets": [{"name": name, "changed": changed} for name, changed in sorted(names.items())],
            "missing": [what for what, _words in lacks],
        }
    )
    if names:
        out.table(Table(("secret", "changed (UTC)"), tuple(sorted(names.items()))))
    for what, words in lacks:
        out.say(f"Missing: {what}. Next: {stack.words(words)}")
    return ExitCode.FAILED if TOKEN_NAME not in names else ExitCode.DONE


def _put(stack: Stack, name: str, options: argparse.Namespace, out: Output) -> int:
    value = secrets.token_hex(32) if options.generate else _asked(name)
    store_secret(stack, name, value)
    out.document({"stack": stack.name, "stored": stack.scope.secrets_path + name})
    out.say(f"Stored {name} in SSM as {stack.scope.secrets_path}{name}, encrypted.")
    out.say("The gateway reads it at its next start.")
    out.next(f"{stack.words('secrets apply')}, or {stack.words('up')} where nothing runs yet")
    return ExitCode.DONE


def _apply(stack: Stack, out: Output) -> int:
    instance = stack.instance()
    with out.waiting(f"Restarting the gateway on {instance}"):
        ended = run_on_instance(stack, instance, ["systemctl", "restart", "openclaw.service"], seconds=RESTART_SECONDS)
    if ended.code:
        raise AccountError(f"The gateway did not restart: {ended.err.strip() or ended.out.strip()}")
    out.document({"stack": stack.name, "restarted": instance})
    out.say("The gateway has restarted with the secrets as they are now.")
    out.next(stack.words("status"))
    return ExitCode.DONE


def _show(stack: Stack, name: str, out: Output) -> int:
    with stack.account.told_in_a_sentence("ssm", "GetParameter"):
        try:
            answer = stack.client("ssm").get_parameter(Name=stack.scope.secrets_path + name, WithDecryption=True)
        except aws_errors.ClientError as error:
            if error.response["Error"]["Code"] != "ParameterNotFound":
                raise
            raise NotThere(
                f"{stack.name} has no secret {name}. Next: {stack.words('secrets check')}, or "
                f"{stack.words(f'secrets put {name}')}"
            ) from error
    value = answer["Parameter"]["Value"]
    out.document({"name": name, "value": value})
    out.say(value)
    return ExitCode.DONE


def _asked(name: str) -> str:
    """The value: from a hidden prompt, or all of standard input where that is no terminal."""
    value = getpass.getpass(f"{name} (hidden): ") if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")
    if not value:
        raise WrongSecret(f"Nothing was given for {name}; nothing was stored.")
    if len(value) > LARGEST_VALUE or "\0" in value:
        raise WrongSecret(
            f"The value of {name} is not allowed: at most {LARGEST_VALUE:,} characters, and no zero byte."
        )
    return value
