"""A door before the embedded AWS that is as slow and as strict as the real one, which moto is not.

moto ends and starts a group's instances within the call that asks for it, denies nothing of Auto Scaling's, and keeps
no scaling activities. Everything that is not set here reaches moto and comes back as it answered.
"""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from lab.host.deadline import scaled

DENIED = """<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/me is not authorized</Message></Error>
<RequestId>1</RequestId></ErrorResponse>"""
DENIED_JSON = b'{"__type": "com.amazon.coral.service#AccessDenied", "message": "not authorized"}'
ACTIVITIES = """<DescribeScalingActivitiesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
<DescribeScalingActivitiesResult><Activities><member><ActivityId>1</ActivityId>
<AutoScalingGroupName>group</AutoScalingGroupName><Cause>c</Cause><StartTime>2026-02-27T11:00:00Z</StartTime>
<StatusCode>Failed</StatusCode><StatusMessage>{message}</StatusMessage></member></Activities>
</DescribeScalingActivitiesResult></DescribeScalingActivitiesResponse>"""


class SlowAws:
    """The door; it listens from the constructor to the end of its `with` block.

    `late_answers` is how many looks at a group still show the instances of before its size was set; `denied` are the
    actions that the user may not call; `complaint` is the newest scaling activity's message.
    """

    def __init__(self, target: str, late_answers: int = 0, denied: frozenset[str] = frozenset(), complaint: str = ""):
        door = self
        address = urlsplit(target)
        self.late_answers = late_answers
        self.calls: list[str] = []
        self._before = b""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                action = parse_qs(body.decode(errors="replace")).get("Action", [self.path.rsplit("/", 1)[-1]])[0]
                action = self.headers.get("X-Amz-Target", action).rpartition(".")[2]
                door.calls.append(action)
                if action in denied and "X-Amz-Target" in self.headers:
                    return self._answer(400, [("Content-Type", "application/x-amz-json-1.0")], DENIED_JSON)
                if action in denied:
                    return self._answer(403, [("Content-Type", "text/xml")], DENIED.encode())
                if action == "DescribeScalingActivities" and complaint:
                    text = ACTIVITIES.format(message=complaint)
                    return self._answer(200, [("Content-Type", "text/xml")], text.encode())
                connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=scaled(60))
                connection.request("POST", self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content, headers = answer.read(), answer.getheaders()
                connection.close()
                self._answer(answer.status, headers, door.as_seen(action, content))

            def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def as_seen(self, action: str, content: bytes) -> bytes:
        if action != "DescribeAutoScalingGroups":
            return content
        if "SetDesiredCapacity" not in self.calls:
            self._before = content
        elif self.late_answers > 0:
            self.late_answers -= 1
            return self._before
        return content

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
