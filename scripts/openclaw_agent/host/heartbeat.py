"""The dead man's switch: somebody outside AWS hears of each backup, and notices when there is none."""

import http.client
import urllib.request

from openclaw_agent.settings import Settings

FAILED_SUFFIX = "/fail"
"""What services of this kind take for bad news (healthchecks.io and those like it)."""
ANSWER_SECONDS = 10
_MOST_READ = 1024


def send_heartbeat(settings: Settings, *, good: bool) -> str | None:
    """Ask the configured URL, with `/fail` after a bad run; return why it could not be done, None where it could.

    Nothing of the state or of the run is sent.
    """
    if not settings.heartbeat_url:
        return None
    url = settings.heartbeat_url if good else settings.heartbeat_url.rstrip("/") + FAILED_SUFFIX
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - https, as configured
            answer.read(_MOST_READ)
    except (OSError, ValueError, http.client.HTTPException) as problem:
        # Without the URL: who knows it can keep the switch quiet.
        return f"The heartbeat could not be sent ({type(problem).__name__}); the backup itself is not affected."
    return None
