"""What a failed request to the embedded AWS says."""

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from lab.moto.server import EmbeddedAws

AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError)
"""A refusal, a request that could not be made, and an internal error of the server (whose answer is no XML)."""


def sentence_of(error: Exception, aws: EmbeddedAws) -> str:
    """Return what AWS, or what stands in for it, said of a failed request (one of `AWS_ERRORS`)."""
    if isinstance(error, ClientError):
        answer = error.response.get("Error", {})
        return f"{answer.get('Message', error)} ({answer.get('Code', 'no code')})"
    if isinstance(error, ResponseParserError):
        return f"the embedded AWS failed: {aws.last_words()}"
    return " ".join(str(error).split())
