"""The command line of ec2-spot-prices: parse, ask, print."""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from operator_tools import edge
from operator_tools.account.errors import ExitCode
from operator_tools.prices.offers import PriceReport, compile_report
from operator_tools.prices.price_errors import SpotPriceError
from operator_tools.prices.price_report import left_out_sentences, price_document, price_table, without_price_sentence
from operator_tools.prices.price_series import Window
from operator_tools.prices.requested import parse_days, parse_instance_types
from operator_tools.prices.sparkline import bars_for

DEFAULT_DAYS = 7
PIPED_WIDTH = 100

_EPILOG = (
    "exit status: 0 prices were printed, 1 they could not be had (credentials, network, no price at all), "
    "2 the request is wrong (unknown instance type or region, malformed option), "
    f"{edge.INTERRUPTED} Ctrl-C. "
    "AWS_ENDPOINT_URL and the other variables of the AWS SDKs are honoured."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; errors are one sentence on standard error."""
    return edge.run(show, _parser().parse_intermixed_args(arguments))


def fetch_report(words: Sequence[str], region: str | None, days_text: str) -> PriceReport:
    """Ask EC2 for the prices of instance types up to now.

    Raises:
        WrongRequest: an argument is wrong.
        AccountError: the prices could not be had.
    """
    names = parse_instance_types(words)
    days = parse_days(days_text)
    try:
        from operator_tools.prices.ec2_prices import Ec2Prices
    except ImportError as error:
        raise SpotPriceError(
            f"The Python at {sys.executable} has no {error.name}; install it with: pip install boto3"
        ) from error
    ec2 = Ec2Prices(region)
    window = Window.of_days(days, datetime.now(UTC))
    instance_types = ec2.instance_types(names)
    report = compile_report(ec2.region, days, window, instance_types, ec2.price_changes(names, window))
    report = replace(report, incomplete_changes=ec2.incomplete_changes)
    if not report.offers:
        raise SpotPriceError(" ".join([without_price_sentence(report), *left_out_sentences(report)]))
    return report


def print_report(report: PriceReport, *, as_json: bool) -> None:
    """Print the report on standard output, and what it lacks on standard error."""
    if as_json:
        print(json.dumps(price_document(report), indent=2))
    else:
        width = shutil.get_terminal_size((PIPED_WIDTH, 24)).columns
        print(price_table(report, width=width, bars=bars_for(sys.stdout.encoding)))
    sys.stdout.flush()
    for sentence in filter(None, (without_price_sentence(report), *left_out_sentences(report))):
        print(sentence, file=sys.stderr)


def show(options: argparse.Namespace) -> int:
    """Ask and print, as the options say.

    Raises:
        AccountError: an argument is wrong, or the prices could not be had.
    """
    print_report(fetch_report(options.types, options.region, options.days), as_json=options.json)
    return ExitCode.DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ec2-spot-prices.py",
        description="Show what EC2 spot instances cost now and of late, by type and zone, cheapest first.",
        epilog=_EPILOG,
    )
    add_flags(parser)
    parser.add_argument("--region", help="AWS region (default: AWS_REGION, or the profile's)")
    parser.add_argument("--json", action="store_true", help="print a JSON document instead of the table")
    parser.add_argument("--verbose", action="store_true", help="say what is asked; show the traceback of an error")
    return parser


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add which types, and how far back."""
    parser.add_argument("types", metavar="TYPE", nargs="*", help="instance type, such as t4g.small; one or more")
    parser.add_argument("--days", default=str(DEFAULT_DAYS), help=f"days of history, 1 to 90 (default: {DEFAULT_DAYS})")
