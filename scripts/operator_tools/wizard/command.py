"""`openclaw-lab wizard`."""

import argparse
import secrets
import shutil
from collections.abc import Iterator
from decimal import Decimal

from openclaw_agent.history.tables import Table
from openclaw_agent.host.gateway_secrets import TOKEN_NAME
from openclaw_ec2_spot.config_keys import Ec2SpotSettings
from openclaw_platform.config_keys import PlatformSettings
from operator_tools.account.account import Account
from operator_tools.account.errors import ExitCode
from operator_tools.prices.ec2_prices import Ec2Prices
from operator_tools.prices.offers import HOURS_A_MONTH
from operator_tools.prices.zone_prices import zone_prices
from operator_tools.program.output import Output
from operator_tools.secrets_store.command import MODEL_KEYS, store_secret, stored_names
from operator_tools.settings.stack_config import EC2_SPOT, PLATFORM, read_stack_config, write_stack_config
from operator_tools.stack.stack import Stack
from operator_tools.wizard.answers import ask, ask_hidden

DEFAULT_REGION = "us-east-1"
CHANNEL_SECRETS = ("TELEGRAM_BOT_TOKEN", "DISCORD_BOT_TOKEN")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: everything is asked for."""


def run(options: argparse.Namespace, out: Output) -> int:
    """Ask, then write both stacks' configuration and store the secrets; nothing is written before the last answer."""
    before = read_stack_config(EC2_SPOT, options.stack), read_stack_config(PLATFORM, options.stack)
    region = ask("Region", options.region or before[0].region or DEFAULT_REGION, Account)
    stack = Stack(options.stack, region)
    out.say(f"Account {stack.scope.account_id}, stack {stack.name}.")
    instance_type = ask(
        "Instance type (2 GiB of memory at least)",
        before[0].get("instance_type") or "t4g.small",
        lambda text: (Ec2SpotSettings.instance_type.parse(text), Ec2Prices(region).instance_types([text])),
    )
    prices = zone_prices(region, instance_type)
    out.table(_table(prices))
    cheapest = min(prices, key=lambda zone: (prices[zone], zone), default=f"{region}a")
    zone = ask("Zone", before[0].get("availability_zone") or cheapest, Ec2SpotSettings.availability_zone.parse)
    mail = ask("Mail for alarms (none: -)", before[1].get("alarm_email") or "-", _mail)
    found = stored_names(stack)
    given = dict(_secrets(found))
    written = [
        write_stack_config(PLATFORM, stack.name, region, {} if mail == "-" else {"alarm_email": mail}),
        write_stack_config(EC2_SPOT, stack.name, region, {"instance_type": instance_type, "availability_zone": zone}),
    ]
    for name, value in given.items():
        store_secret(stack, name, value)
    out.document(
        {
            "stack": stack.name,
            "region": region,
            "instance_type": instance_type,
            "availability_zone": zone,
            "files": [str(path) for path in written],
            "stored": sorted(given),
        }
    )
    out.say(*(f"Wrote {path}." for path in written))
    if given:
        out.say(f"Stored {', '.join(sorted(given))} in SSM below {stack.scope.secrets_path}.")
    out.say("Nothing costs anything yet.")
    if shutil.which("pulumi") is None:
        out.say("The Pulumi CLI is missing: curl -fsSL https://get.pulumi.com | sh")
    out.say(
        "Pulumi needs no account: pulumi login --local keeps its state in ~/.pulumi, and PULUMI_CONFIG_PASSPHRASE is a "
        f"passphrase of your own. Once: pulumi -C platform stack init {stack.name}; pulumi -C ec2_spot stack init "
        f"{stack.name}"
    )
    out.next(f"{stack.words('doctor')}, {stack.words('cost')}, then {stack.words('up')}")
    return ExitCode.DONE


def _secrets(found: object) -> Iterator[tuple[str, str]]:
    """What is to be stored: a token of the gateway where there is none, and what is typed."""
    stored = set(found) if isinstance(found, dict) else set()
    if TOKEN_NAME not in stored:
        yield TOKEN_NAME, secrets.token_hex(32)
    for name in (MODEL_KEYS[0], *CHANNEL_SECRETS):
        if name not in stored and (value := ask_hidden(name)):
            yield name, value


def _mail(text: str) -> object:
    return text if text == "-" else PlatformSettings.alarm_email.read({"alarm_email": text}.get)


def _table(prices: dict[str, Decimal]) -> Table:
    rows = sorted(prices.items(), key=lambda row: (row[1], row[0]))
    return Table(
        ("zone", "$ an hour now", "$ a month"),
        tuple((zone, f"{price:.4f}", f"{price * HOURS_A_MONTH:.2f}") for zone, price in rows),
        frozenset({"$ an hour now", "$ a month"}),
    )
