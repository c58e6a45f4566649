"""Whether a region exists, as far as the installed boto3 knows."""

from collections.abc import Collection
from difflib import get_close_matches

from operator_tools.account.errors import WrongRegion


def check_region(region: str, known: Collection[str]) -> None:
    """Check that a region is one that the installed boto3 knows.

    Raises:
        WrongRegion: it is not; the sentence names regions of a similar name.
    """
    if region in known:
        return
    close = get_close_matches(region, sorted(known), n=3, cutoff=0.6)
    listed = f"{', '.join(close[:-1])} or {close[-1]}" if len(close) > 1 else "".join(close)
    raise WrongRegion(f"There is no region {region!r}{f'; did you mean {listed}' if close else ''}.")
