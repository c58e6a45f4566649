"""The tables of README and docs/, each made from the code that it describes."""

import re
from collections.abc import Callable, Iterable, Mapping

from lab.machine.differences import read_assumptions
from openclaw_agent.exit_codes import EXIT_CODE_MEANINGS
from openclaw_agent.retention.report import retention_policy_table
from openclaw_agent.store.cost import DAYS_A_MONTH, changed_backup_cost, storage_cost
from openclaw_ec2_spot.config_keys import Ec2SpotSettings
from openclaw_ec2_spot.unbound_actions import UNBOUND_ACTIONS
from openclaw_platform.config_keys import PlatformSettings
from openclaw_platform.config_table import config_table_markdown

_MARKED = re.compile(r"(<!-- table:(?P<name>\S+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


def markdown_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table, without a line break at the end."""
    heads = tuple(heads)
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def exit_code_table() -> str:
    """What each exit code means."""
    return markdown_table(
        ("Exit code", "Meaning"), ((str(code.value), meaning) for code, meaning in EXIT_CODE_MEANINGS.items())
    )


def cost_table(changed: int = 10) -> str:
    """What backups cost by the number of files, if each finds `changed` files changed."""
    rows = ["| Files kept | One backup | A month, every 20 minutes | A month, every 60 minutes |", "| ---: " * 4 + "|"]
    for files in (10, 100, 1_000, 10_000, 100_000):
        once = changed_backup_cost(files, changed)
        months = [once * DAYS_A_MONTH * 24 * 60 / minutes for minutes in (20, 60)]
        rows.append(f"| {files:,} | ${once:,.5f} | " + " | ".join(f"${month:,.2f}" for month in months) + " |")
    return "\n".join(rows)


def storage_table() -> str:
    """What the bucket costs by the size of the state, if every backup finds changes."""
    rows = ["| State | A month, every 20 minutes | A month, every 60 minutes |", "| ---: " * 3 + "|"]
    for gigabytes in (0.1, 0.5, 1, 5, 20):
        months = [storage_cost(gigabytes, minutes) for minutes in (20, 60)]
        rows.append(f"| {gigabytes:g} GB | " + " | ".join(f"${month:,.2f}" for month in months) + " |")
    return "\n".join(rows)


def assumption_table() -> str:
    """What is assumed about AWS, and what would show it."""
    return markdown_table(
        ("Assumed", "Basis", "Shown by"), ((row.assumed, row.basis, row.shown_by) for row in read_assumptions())
    )


def unbound_table() -> str:
    """Which actions the instance's role has on everything, and why."""
    return markdown_table(
        ("Action on everything", "Why"), ((f"`{action}`", why) for action, why in UNBOUND_ACTIONS.items())
    )


TABLES: Mapping[str, Callable[[], str]] = {
    "ec2_spot": lambda: config_table_markdown(Ec2SpotSettings.rows()),
    "platform": lambda: config_table_markdown(PlatformSettings.rows()),
    "retention": retention_policy_table,
    "exit": exit_code_table,
    "cost": cost_table,
    "storage": storage_table,
    "assumptions": assumption_table,
    "unbound": unbound_table,
}
"""The tables by the names that the marks `<!-- table:NAME -->` give them."""


def names_of_tables(page: str) -> list[str]:
    """Which tables a page holds."""
    return [found["name"] for found in _MARKED.finditer(page)]


def with_tables(page: str) -> str:
    """The page with each marked table made anew.

    Raises:
        KeyError: for a mark that names no table.
    """
    return _MARKED.sub(lambda found: found[1] + TABLES[found["name"]]() + found[3], page)
