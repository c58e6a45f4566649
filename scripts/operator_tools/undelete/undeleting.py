"""What an undelete does, in which order, and what it says on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY
from operator_tools.account.errors import AccountError, ExitCode
from operator_tools.undelete.bucket_calls import BucketCalls, Refused
from operator_tools.undelete.history import History
from operator_tools.undelete.moments import in_words
from operator_tools.undelete.plan import UndeletePlan, folder_of, is_manifest, plan_undelete, whole_latest

SAY_EVERY = 1000
"""After how many objects a line tells how far it is."""


class WrongMoment(AccountError):
    """The moment is none that the bucket can go back to."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Undelete:
    """One bucket's way back; `say` takes one line for the user."""

    bucket: str
    calls: BucketCalls
    say: Callable[[str], None]

    def plan(self, moment: datetime | None) -> UndeletePlan:
        """Read every version and plan the way to a moment; None is the newest at which `latest/` was whole.

        Raises:
            WrongMoment: it lies in the future or before what the bucket keeps, or nothing whole is kept.
            AccountError: AWS refused.
        """
        days = self.calls.undelete_days()
        now = datetime.now(UTC)
        if moment is not None and moment > now:
            raise WrongMoment(f"{in_words(moment)} is in the future; it is {in_words(now)} now.")
        if moment is not None and days is not None and moment < now - timedelta(days=days):
            raise WrongMoment(
                f"{self.bucket} keeps what was deleted for {days} days (undelete_days), so {in_words(moment)} is gone; "
                f"allowed is {in_words(now - timedelta(days=days))} or later."
            )
        history = History(self.calls.versions())
        return plan_undelete(history, moment or self._newest_whole(history))

    def carry_out(self, plan: UndeletePlan) -> list[Refused]:
        """Take every step of a plan; return what S3 refused, of which the rest is independent.

        A manifest does not come back before all that it vouches for.
        """
        total, made, refused = len(plan.copies) + len(plan.deletions), 0, list[Refused]()

        def one_more() -> None:
            nonlocal made
            made += 1
            if made % SAY_EVERY == 0:
                self.say(f"  {made} of {total} objects")

        for wave in plan.waves:
            lacking = {folder_of(each.key) for each in refused}
            held_back = [each for each in wave.copies if is_manifest(each.key) and folder_of(each.key) in lacking]
            refused += [Refused(each.key, "not all of its objects are back") for each in held_back]
            refused += self.calls.copy_forward((each for each in wave.copies if each not in held_back), one_more)
            refused += self.calls.delete(wave.deletions, one_more)
        return refused

    def _newest_whole(self, history: History) -> datetime:
        for version in history.moments_of(LATEST_MANIFEST_KEY):
            manifest = None if version.archived else self.calls.manifest(version)
            if manifest is not None and whole_latest(history, version.since, manifest):
                self.say(f"latest/ was last whole at {in_words(version.since)} (snapshot {manifest.snapshot}).")
                return version.since
        raise WrongMoment(
            f"{self.bucket} keeps no moment at which latest/ was whole; name one with AT=…, whose snapshots come back."
        )
