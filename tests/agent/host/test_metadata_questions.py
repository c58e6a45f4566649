"""The questions of the spot watch are independent: whatever one of them meets, the others are asked, and acted on."""

import threading
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openclaw_agent.host.metadata import (
    INTERRUPTION_PATH,
    LIFECYCLE_PATH,
    REBALANCE_PATH,
    InstanceMetadata,
    MetadataUnavailable,
)
from openclaw_agent.host.spot_watch import QUESTIONS, EventKind, Step, look, watch
from openclaw_agent.run_record import RunRecord
from openclaw_agent.settings import Settings
from tests.support.odd_metadata import (
    TOKEN_PATH,
    Manner,
    OddMetadata,
    breaks_off,
    hangs,
    hangs_up,
    says,
    trickles,
    utters,
)

ANNOUNCED = {
    INTERRUPTION_PATH: ('{"action": "terminate", "time": "2026-02-27T14:02:00Z"}', EventKind.INTERRUPTION),
    LIFECYCLE_PATH: ("Terminated", EventKind.TERMINATION),
    REBALANCE_PATH: ('{"noticeTime": "2026-02-27T14:02:00Z"}', EventKind.REBALANCE),
}
NONSENSE = (
    "",
    "<html>not found</html>",
    "null",
    "[]",
    '"terminate"',
    "{}",
    '{"action": null}',
    '{"action": 3}',
    "[" * 60000,
)
TROUBLES: dict[str, Manner] = {
    "hangs": hangs,
    "hangs up": hangs_up,
    "trickles": trickles,
    "breaks off": breaks_off,
    "is out of order": says("", 500),
    "is busy": says("slow down", 503),
    "takes no token": says("", 401),
    "forbids": says("", 403),
    "talks another protocol": utters(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "is no HTTP": utters(b"\x00\xff\r\n\r\n"),
    "has a broken head": utters(
        b"HTTP/1.1 200 OK\r\nContent-Length: minus one\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    ),
    **{f"says {body[:20]!r}": says(body) for body in NONSENSE},
}
WITHIN_SECONDS = 1.5
"""Less than the deadline of one question, so that nothing can have been waited for."""


def log_in(folder: Path) -> RunRecord:
    return RunRecord("watch", Settings("bucket", "us-east-1", folder, folder, folder))


def first_response(service: OddMetadata, folder: Path) -> tuple[EventKind, float]:
    """What the watch acts on first, and after how many seconds."""
    began = time.monotonic()
    acted: list[float] = []
    commands: list[str] = []

    def run(step: Step) -> int:
        acted.append(time.monotonic() - began)
        commands.append(step.command[1])
        # A recommendation is watched on after; this ends the watch.
        service.become(INTERRUPTION_PATH, says(ANNOUNCED[INTERRUPTION_PATH][0]))
        return 0

    event = watch(log_in(folder), service.endpoint_url, run, 0.01)
    return (EventKind.REBALANCE if commands[0] == "start" else event.kind), acted[0]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("announced", [INTERRUPTION_PATH, LIFECYCLE_PATH])
def test_any_question_alone_is_enough_to_act_at_once(tmp_path: Path, announced: str, trouble: str) -> None:
    body, kind = ANNOUNCED[announced]
    manners = dict.fromkeys(QUESTIONS, TROUBLES[trouble]) | {announced: says(body)}
    with OddMetadata(manners) as service:
        found, seconds = first_response(service, tmp_path)
    assert (found, seconds < WITHIN_SECONDS) == (kind, True), seconds


@settings(max_examples=25)
@given(
    announced=st.sampled_from(sorted(QUESTIONS)),
    troubles=st.lists(st.sampled_from(sorted(TROUBLES)), min_size=3, max_size=3),
    raw=st.none() | st.binary(max_size=200),
)
@example(announced=REBALANCE_PATH, troubles=["hangs", "hangs", "trickles"], raw=None)
def test_whatever_the_other_questions_meet_one_is_acted_on_at_once(
    tmp_path_factory: pytest.TempPathFactory, announced: str, troubles: list[str], raw: bytes | None
) -> None:
    manners = dict(zip(sorted(QUESTIONS), (TROUBLES[trouble] for trouble in troubles), strict=True))
    if raw is not None:
        manners[next(path for path in sorted(QUESTIONS) if path != announced)] = utters(raw)
    body, kind = ANNOUNCED[announced]
    with OddMetadata(manners | {announced: says(body)}) as service:
        found, seconds = first_response(service, tmp_path_factory.mktemp("log"))
    assert (found, seconds < WITHIN_SECONDS) == (kind, True), seconds


def test_a_question_that_recovers_is_heard(tmp_path: Path) -> None:
    with OddMetadata({path: says("", 500) for path in QUESTIONS}) as service:
        service.become(TOKEN_PATH, hangs_up)
        began = time.monotonic()

        def recover() -> None:
            while service.times_asked(TOKEN_PATH) < 9 and time.monotonic() - began < 10:
                time.sleep(0.01)
            service.become(TOKEN_PATH, says("token"))
            service.become(LIFECYCLE_PATH, says("Terminated"))

        recovering = threading.Thread(target=recover)
        recovering.start()
        found, _ = first_response(service, tmp_path)
        recovering.join()
    assert found is EventKind.TERMINATION


@pytest.mark.parametrize("manner", [hangs, trickles], ids=["hangs", "trickles"])
@pytest.mark.parametrize("path", [INTERRUPTION_PATH, TOKEN_PATH], ids=["the question", "the token"])
def test_a_question_has_a_deadline(path: str, manner: Manner) -> None:
    with OddMetadata({path: manner}) as service:
        began = time.monotonic()
        with pytest.raises(MetadataUnavailable, match="does not answer"):
            InstanceMetadata(service.endpoint_url, timeout=0.2).get(INTERRUPTION_PATH)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("token", "question", "sentence"),
    [
        (says("token"), says("", 500), f"The metadata service answered 500 for {INTERRUPTION_PATH}."),
        # A token that is refused is renewed once, not for ever.
        (says("token"), says("", 401), f"The metadata service answered 401 for {INTERRUPTION_PATH}."),
        (says("", 403), says("{}"), "The metadata service gave no token (status 403)."),
        (says("<html>\r\nsign in</html>"), says("{}"), "gave no token but '<html>\\r\\nsign in</html>'."),
    ],
    ids=["out of order", "no token is good enough", "no token", "a token that no header takes"],
)
def test_a_service_that_answers_but_says_nothing_is_not_taken_for_a_quiet_one(
    token: Manner, question: Manner, sentence: str
) -> None:
    with OddMetadata({TOKEN_PATH: token, INTERRUPTION_PATH: question}) as service:
        found = look(service.endpoint_url)
    assert any(sentence in str(problem) for problem in found.unanswered)


@pytest.mark.parametrize("body", NONSENSE, ids=[body[:20] for body in NONSENSE])
@pytest.mark.parametrize("path", sorted(QUESTIONS))
def test_nonsense_announces_nothing(path: str, body: str) -> None:
    with OddMetadata({path: says(body)}) as service:
        found = look(service.endpoint_url)
    assert (found.events, found.unanswered) == ((), ())


def test_a_token_in_the_second_half_of_its_life_is_renewed_and_kept_where_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.monotonic()
    with OddMetadata({INTERRUPTION_PATH: says("", 404)}) as service:
        client = InstanceMetadata(service.endpoint_url)
        assert client.get(INTERRUPTION_PATH) is None
        client.keep_fresh()
        assert service.times_asked(TOKEN_PATH) == 1
        monkeypatch.setattr(time, "monotonic", lambda: now + 4 * 3600)
        service.become(TOKEN_PATH, says("", 500))
        with pytest.raises(MetadataUnavailable):
            client.keep_fresh()
        assert client.get(INTERRUPTION_PATH) is None
        service.become(TOKEN_PATH, says("another"))
        client.keep_fresh()
        client.keep_fresh()
        assert service.times_asked(TOKEN_PATH) == 3
