#!/usr/bin/env python3
"""Runs the real Collector with otel-collector/aws.yaml and looks at what it would send to AWS.

A fake stands for AWS: an HTTP server on loopback that says so in its answers, checks every signature (SigV4) as AWS
does, and refuses what is not signed right. Credentials are invented, and those of this machine are out of reach. Shown:
  - a trace, a metric and a log arrive, each at its path, with its service in the signature and what it was sent with;
  - what AWS has no time for (429, 503) is sent again, and what it never answers, too;
  - a refused metric (400) does not hold up the next one;
  - what was accepted while AWS was away survives a killed Collector, which ends when told to, too.
"""

import functools
import gzip
import hashlib
import hmac
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from typing import Callable, Iterable, NamedTuple, NoReturn

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REGION = "eu-central-1"
KEY, SECRET = "AKIDINVENTED", "invented-secret"
# The path and the service in the signature of each signal.
SIGNALS = {
    "traces": ("/v1/traces", "xray"),
    "logs": ("/v1/logs", "logs"),
    "metrics": ("/workspaces/ws-test/api/v1/remote_write", "aps"),
}
# Far more than anything here takes; nothing waits for it to pass.
LIMIT_S = 60.0


class Request(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


def fail(message: str) -> NoReturn:
    raise SystemExit(f"test-otelcol-aws: {message}")


def until(what: str, ready: Callable[[], bool], collector: "Collector") -> None:
    """Waits for a condition."""
    end = time.monotonic() + LIMIT_S
    while not ready():
        if collector.process.poll() is not None:
            fail(f"{what}: the Collector has ended: {collector.said()}")
        if time.monotonic() > end:
            fail(f"{what}: not within {LIMIT_S:.0f} s: {collector.said()}")
        time.sleep(0.02)


def signature_error(method: str, request: Request) -> str | None:
    """What is wrong with a request's signature: AWS's own computation, with the secret that only this test knows."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
        r"SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
        request.headers.get("authorization", ""),
    )
    if not found:
        return f"no signature: {request.headers.get('authorization')!r}"
    key, date, region, service, signed, signature = found.groups()
    expected = {path: service for path, service in SIGNALS.values()}.get(request.path)
    if (key, region, service) != (KEY, REGION, expected):
        return f"signed as {key} for {service} in {region}, want {expected}"
    if "host" not in signed.split(";"):
        return f"the host is not signed: {signed}"
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in signed.split(";"))
    canonical = "\n".join([method, request.path, "", headers, signed, hashlib.sha256(request.body).hexdigest()])
    stamp = request.headers.get("x-amz-date", "")
    scope = f"{date}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    secret = f"AWS4{SECRET}".encode()
    for part in (date, region, service, "aws4_request"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    right = hmac.digest(secret, to_sign.encode(), "sha256").hex()
    return None if hmac.compare_digest(right, signature) else f"the signature is wrong for {canonical!r}"


def unsnappy(data: bytes) -> bytes:
    """Snappy's block format."""
    at = 0
    while data[at] & 0x80:
        at += 1
    at += 1
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        kind = tag & 3
        if kind == 0:
            length = tag >> 2
            if length >= 60:
                size = length - 59
                length = int.from_bytes(data[at : at + size], "little")
                at += size
            out += data[at : at + length + 1]
            at += length + 1
            continue
        if kind == 1:
            length, offset, size = ((tag >> 2) & 7) + 4, (tag >> 5) << 8 | data[at], 1
        else:
            size = 2 if kind == 2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(data[at : at + size], "little")
        at += size
        for _ in range(length):
            out.append(out[-offset])
    return bytes(out)


class FakeAws:
    """Not AWS: an HTTP server on loopback for this test. `answer` says the status of each request; None: no answer."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.problems: list[str] = []
        self.answer: Callable[[Request], int | None] = lambda _: 200
        self.closing = threading.Event()
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version = "fake-aws-of-a-test"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                problem = signature_error("POST", request)
                if problem:
                    fake.problems.append(f"{self.path}: {problem}")
                status = 403 if problem else fake.answer(request)
                fake.requests.append(request)
                if status is None:
                    fake.closing.wait()
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def with_text(self, signal_name: str, text: str) -> list[Request]:
        """The requests of a signal that have this in their body."""
        path = SIGNALS[signal_name][0]
        return [request for request in list(self.requests) if request.path == path and text.encode() in plain(request)]

    def has(self, signal_name: str, text: str, times: int) -> bool:
        return len(self.with_text(signal_name, text)) >= times

    def close(self) -> list[str]:
        """Also says what was wrong with requests."""
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        return self.problems


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Collector:
    """The real one, with aws.yaml, and the fake in AWS's place."""

    def __init__(self, folder: str, aws: str) -> None:
        names = ["GRPC", "HTTP", "PROM", "SELF", "HEALTH", "METRICS_QUEUE"]
        ports = dict(zip(names, free_ports(len(names))))
        self.http = f"http://127.0.0.1:{ports['HTTP']}"
        self.log = os.path.join(folder, "log")
        environment = {
            "PATH": os.environ["PATH"],
            # Neither this machine's files, nor its role.
            "HOME": folder,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_AMP_URL": f"{aws}{SIGNALS['metrics'][0]}",
            "AWS_XRAY_URL": f"{aws}{SIGNALS['traces'][0]}",
            "AWS_LOGS_URL": f"{aws}{SIGNALS['logs'][0]}",
            "AWS_LOG_GROUP": "/test/group",
            "AWS_LOG_STREAM": "a-stream",
            "CRYPTO_TELEMETRY_ROOT": ROOT,
            "OTELCOL_OVERLAY": "otel-collector/aws.yaml otel-collector/aws-only.yaml",
            "OTELCOL_DATA_DIR": os.path.join(folder, "data"),
            "OTELCOL_BATCH_TIMEOUT": "50ms",
            "OTELCOL_RETRY_INITIAL": "50ms",
            "OTELCOL_METRICS_QUEUE_TIMEOUT": "1s",
            "OTELCOL_FEATURE_GATES": "exporter.prometheusremotewritexporter.RetryOn429",
            **{f"OTELCOL_{name}_PORT": str(port) for name, port in ports.items()},
        }
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(ROOT, "scripts/start-otelcol.sh")],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        health = f"http://127.0.0.1:{ports['HEALTH']}/"
        until("the Collector starts", lambda: status_of(health) == 200, self)

    def said(self) -> str:
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()[-4000:]

    def send(self, signal_name: str, name: str) -> None:
        status = status_of(f"{self.http}/v1/{signal_name}", json.dumps(payload(signal_name, name)).encode())
        if status != 200:
            fail(f"the Collector answers {status} to {signal_name}: {self.said()}")

    def end(self, how: signal.Signals = signal.SIGTERM) -> bool:
        """Whether it ended by itself, and had not to be killed."""
        self.process.send_signal(how)
        try:
            self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        return True


def status_of(url: str, body: bytes | None = None) -> int | None:
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def payload(signal_name: str, name: str) -> dict[str, object]:
    """One span, metric or log record of this name, as OTLP's JSON."""
    now = str(time.time_ns())
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "test-service"}}]}
    if signal_name == "traces":
        # An id with no time in it, as W3C has them: "f" would be a time in the year 2106.
        span = {"traceId": "f" * 31 + "1", "spanId": "b7ad6b7169203331", "name": name, "kind": 2,
                "startTimeUnixNano": now, "endTimeUnixNano": now}  # fmt: skip
        return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    if signal_name == "logs":
        record = {"timeUnixNano": now, "severityNumber": 9, "body": {"stringValue": name}}
        return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}
    point = {"timeUnixNano": now, "startTimeUnixNano": now, "asInt": "7"}
    metric = {"name": name, "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [point]}}
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"scope": {"name": "a"}, "metrics": [metric]}]}]}


def plain(request: Request) -> bytes:
    """A request's body, unpacked."""
    return unsnappy(request.body) if request.path == SIGNALS["metrics"][0] else gzip.decompress(request.body)


def arrives(aws: FakeAws, collector: Collector, name: str, times: int = 1, signals: Iterable[str] = SIGNALS) -> None:
    for signal_name in signals:
        ready = functools.partial(aws.has, signal_name, name, times)
        until(f"{name} of {signal_name} arrives {times} times", ready, collector)


def first_request_fails(aws: FakeAws, collector: Collector) -> None:
    """429 to the first request of each signal; and what the second is like."""
    asked: list[str] = []

    def answer(request: Request) -> int:
        asked.append(request.path)
        return 429 if asked.count(request.path) == 1 else 200

    aws.answer = answer
    for signal_name in SIGNALS:
        collector.send(signal_name, "first_thing")
    arrives(aws, collector, "first_thing", times=2)
    log = aws.with_text("logs", "first_thing")[0].headers
    if (log.get("x-aws-log-group"), log.get("x-aws-log-stream")) != ("/test/group", "a-stream"):
        fail(f"logs have no group and stream: {log}")
    metric = plain(aws.with_text("metrics", "first_thing_total")[0])
    for label in (b"service_name", b"deployment_environment", b"test-service"):
        if label not in metric:
            fail(f"the metric has no {label!r}: {metric!r}")
    if b"otel_scope" in metric:
        fail(f"the metric has labels that Prometheus would not have: {metric!r}")


def metric_is_refused(aws: FakeAws, collector: Collector) -> None:
    """400 to one metric: whatever comes after it goes through."""
    aws.answer = lambda request: 400 if b"refused_thing" in plain(request) else 200
    collector.send("metrics", "refused_thing")
    arrives(aws, collector, "refused_thing", signals=["metrics"])
    for signal_name in SIGNALS:
        collector.send(signal_name, "next_thing")
    arrives(aws, collector, "next_thing")


def metric_gets_no_answer(aws: FakeAws, collector: Collector) -> None:
    asked: list[str] = []

    def answer(request: Request) -> int | None:
        if b"slow_thing" not in plain(request):
            return 200
        asked.append(request.path)
        return None if len(asked) == 1 else 200

    aws.answer = answer
    collector.send("metrics", "slow_thing")
    arrives(aws, collector, "slow_thing", times=2, signals=["metrics"])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        aws, collector = FakeAws(), None
        try:
            collector = Collector(folder, aws.url)
            first_request_fails(aws, collector)
            metric_is_refused(aws, collector)
            metric_gets_no_answer(aws, collector)

            # Away, and the Collector is killed meanwhile.
            aws.answer = lambda _: 503
            for signal_name in SIGNALS:
                collector.send(signal_name, "kept_thing")
            arrives(aws, collector, "kept_thing")
            collector.end(signal.SIGKILL)
            problems = aws.close()
            aws = FakeAws()
            collector = Collector(folder, aws.url)
            arrives(aws, collector, "kept_thing")

            # Away, and the Collector is told to end: it does not wait for ever for somebody to take what it has.
            aws.answer = lambda _: 503
            collector.send("metrics", "last_thing")
            arrives(aws, collector, "last_thing", signals=["metrics"])
            if not collector.end():
                fail(f"the Collector does not end while AWS is away: {collector.said()}")
            problems += aws.problems
            if problems:
                fail(f"requests that AWS would refuse: {problems}")
        finally:
            if collector is not None:
                collector.process.kill()
                collector.process.wait()
            aws.close()
    print("test-otelcol-aws: ok")


if __name__ == "__main__":
    main()
