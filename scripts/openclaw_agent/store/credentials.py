"""Credentials of AWS that are not there yet: an instance's metadata service may be slow when it matters most."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from openclaw_agent.store.errors import error_code
from openclaw_agent.store.retries import RetryPolicy

if TYPE_CHECKING:
    from boto3.session import Session

_NOT_THERE_YET = frozenset({"NoCredentialsError", "CredentialRetrievalError", "MetadataRetrievalError"})


def _is_without(problem: Exception) -> bool:
    return error_code(problem) in _NOT_THERE_YET


# For what comes only once, at the end of an instance: about a minute of refusals. Whatever takes longer is ended by the
# limit of its unit.
PATIENT = RetryPolicy(attempts=15, first_pause=0.5, growth=1.3, passing=_is_without)
AT_ONCE = RetryPolicy(attempts=1, first_pause=0.0)


def find_credentials(session: "Session", policy: RetryPolicy, sleep: Callable[[float], object] = time.sleep) -> None:
    """Let the session look for credentials until it has some; a client that is made before keeps having none.

    What is not found by then is told by the first request.
    """
    from botocore.exceptions import BotoCoreError, NoCredentialsError

    def look() -> None:
        if session.get_credentials() is None:
            raise NoCredentialsError

    try:
        policy.call(look, sleep)
    except BotoCoreError:
        return
