"""A local HTTP server that answers EC2's query API with a price history in pages, or with an error of choice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from operator_tools.prices.offers import InstanceType
from operator_tools.prices.price_series import PriceChange

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"

Parameters = dict[str, str]


@dataclass(slots=True)
class Refusal:
    """What one action answers instead of its result."""

    status: int
    body: str
    content_type: str = "text/xml"


@dataclass(slots=True)
class StandIn:
    """What the server knows, and the requests that it got."""

    sizes: Sequence[InstanceType] = ()
    changes: Sequence[PriceChange] = ()
    page_size: int = 50
    disabled_regions: Sequence[str] = ()
    refusals: dict[str, Refusal] = field(default_factory=dict)
    requests: list[Parameters] = field(default_factory=list)
    endpoint_url: str = ""

    def asked(self, action: str) -> list[Parameters]:
        return [request for request in self.requests if request["Action"] == action]

    def answer(self, request: Parameters) -> Refusal:
        self.requests.append(request)
        action = request["Action"]
        if action in self.refusals:
            return self.refusals[action]
        body = {
            "DescribeInstanceTypes": self._instance_types,
            "DescribeInstanceTypeOfferings": self._offerings,
            "DescribeSpotPriceHistory": self._history,
            "DescribeRegions": self._regions,
        }[action](request)
        return Refusal(200, f'<{action}Response xmlns="{NAMESPACE}">{body}</{action}Response>')

    def _instance_types(self, request: Parameters) -> str:
        wanted = set(numbered(request, "Filter.1.Value"))
        items = "".join(
            f"<item><instanceType>{size.name}</instanceType>"
            f"<vCpuInfo><defaultVCpus>{size.vcpus}</defaultVCpus></vCpuInfo>"
            f"<memoryInfo><sizeInMiB>{size.memory_mib}</sizeInMiB></memoryInfo></item>"
            for size in self.sizes
            if size.name in wanted
        )
        return f"<instanceTypeSet>{items}</instanceTypeSet>"

    def _offerings(self, request: Parameters) -> str:
        items = "".join(f"<item><instanceType>{size.name}</instanceType></item>" for size in self.sizes)
        return f"<instanceTypeOfferingSet>{items}</instanceTypeOfferingSet>"

    def _history(self, request: Parameters) -> str:
        wanted = set(numbered(request, "InstanceType"))
        newest_first = sorted((item for item in self.changes if item.instance_type in wanted), key=lambda item: item.at)
        newest_first.reverse()
        start = int(request.get("NextToken", "0"))
        page = newest_first[start : start + self.page_size]
        token = str(start + self.page_size) if start + self.page_size < len(newest_first) else ""
        items = "".join(
            f"<item><instanceType>{item.instance_type}</instanceType><productDescription>Linux/UNIX</productDescription>"
            f"<spotPrice>{item.price:.6f}</spotPrice><timestamp>{item.at:%Y-%m-%dT%H:%M:%S.000Z}</timestamp>"
            + (f"<availabilityZone>{item.zone}</availabilityZone></item>" if item.zone else "</item>")
            for item in page
        )
        return f"<spotPriceHistorySet>{items}</spotPriceHistorySet><nextToken>{token}</nextToken>"

    def _regions(self, request: Parameters) -> str:
        region = request["RegionName.1"]
        status = "not-opted-in" if region in self.disabled_regions else "opted-in"
        item = f"<item><regionName>{region}</regionName><optInStatus>{status}</optInStatus></item>"
        return f"<regionInfo>{item}</regionInfo>"


def numbered(request: Parameters, prefix: str) -> list[str]:
    return [value for key, value in request.items() if key.startswith(f"{prefix}.")]


def refusal(code: str, message: str = "Because.", status: int = 400) -> Refusal:
    error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return Refusal(status, f"<Response><Errors>{error}</Errors><RequestID>r-1</RequestID></Response>")


@contextmanager
def serving(stand_in: StandIn) -> Iterator[StandIn]:
    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            answer = stand_in.answer({key: values[0] for key, values in parse_qs(body).items()})
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body.encode())))
            self.end_headers()
            self.wfile.write(answer.body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Keep silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    stand_in.endpoint_url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
