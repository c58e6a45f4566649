"""`openclaw-lab cost`."""

import argparse

from openclaw_agent.history.tables import Table
from operator_tools.account.errors import ExitCode
from operator_tools.cost.estimate import Item, items, naive_items, total
from operator_tools.cost.price_list import read_prices
from operator_tools.program.output import Output
from operator_tools.stack.stack import Stack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own flags."""
    parser.add_argument("--type", metavar="TYPE", help="another instance type than the configured one")
    parser.add_argument("--zone", metavar="ZONE", help="another zone (default: the configured one, else the cheapest)")


def run(options: argparse.Namespace, out: Output) -> int:
    """Look up what is used, and print the bill."""
    from operator_tools.cost.usage import Overrides, look_up_usage

    stack = Stack.of(options)
    prices = read_prices()
    with out.waiting("Asking for today's spot price and the size of the state"):
        usage = look_up_usage(stack, Overrides(options.type, options.zone))
    ours, naive = items(usage, prices), naive_items(usage, prices)
    out.document(
        {
            "stack": stack.name,
            "region": stack.region,
            "prices_as_of": prices.as_of,
            "prices_of": prices.region,
            "measured": usage.measured,
            "items": [_document(row) for row in ours],
            "total": round(total(ours), 4),
            "naive": [_document(row) for row in naive],
            "naive_total": round(total(naive), 4),
        }
    )
    out.table(_table(ours, naive))
    out.say(
        f"About ${total(ours):.2f} a month; the naive way (on demand, every file copied whole every "
        f"{usage.backup_interval_minutes} minutes) ${total(naive):.2f}.",
        f"Spot price of now in {stack.region}; the rest by the list of {prices.region} of {prices.as_of}; without "
        "taxes, traffic out (100 GB a month are free) and what the model costs. Not verified on a bill.",
    )
    if not usage.measured:
        out.say("Nothing is backed up yet: files and bytes are those of a fresh gateway, each backup changed.")
    out.next(stack.words("status" if usage.measured else "up"))
    return ExitCode.DONE


def _table(ours: list[Item], naive: list[Item]) -> Table:
    other = {row.name: row for row in naive}
    rows = [(row.name, _usd(row), _usd(other[row.name]) if row.name in other else "-", row.because) for row in ours]
    rows.append(("total", f"{total(ours):.2f}", f"{total(naive):.2f}", ""))
    return Table(("item", "$ a month", "naive", "how"), tuple(rows), frozenset({"$ a month", "naive"}))


def _usd(row: Item) -> str:
    return "?" if row.usd is None else f"{row.usd:.2f}"


def _document(row: Item) -> dict[str, object]:
    return {"item": row.name, "usd": None if row.usd is None else round(row.usd, 6), "because": row.because}
