"""What the tests of the recorder share: samples, a spool in memory, a declaration, a server on loopback."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from inspectorate.declaration import Current, MeasuringPoint, Meter
from inspectorate.evidence.envelope import verify_envelope
from inspectorate.evidence.stream import Segment, order_segments, segment_of
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.quantities import Period

NS = 1_000_000_000
START_NS = 1_760_000_000 * NS
EVER = Period(start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC))


def samples(
    times_ns: Sequence[int], *, units: Sequence[str] = ("u0",), signals: Sequence[str] = ("power_w",)
) -> Samples:
    """One row per time, of the units in turn; the value is the number of the row."""
    count = len(times_ns)
    return Samples(
        units=tuple(units),
        signals=tuple(signals),
        time_ns=np.array(times_ns, dtype=np.int64),
        unit=np.array([row % len(units) for row in range(count)], dtype=np.int32),
        values=np.arange(count, dtype=np.float64)[:, None].repeat(len(signals), axis=1),
    )


def meter(**changes: object) -> Meter:
    return Meter.model_validate(
        {
            "id": "m1",
            "holder": "prover",
            "point": MeasuringPoint.NODE,
            "pods": ("pod-a",),
            "units": ("u0",),
            "signals": ("power_w",),
            "sampled_every_s": 1.0,
            "current": Current.AC,
            "silence_s_max": 5.0,
        }
        | changes
    )


def write_declaration(path: Path, *meters: Meter) -> Path:
    """A declaration with one pod and these meters."""
    pod = {"id": "pod-a", "chips": [{"model": "h100-sxm", "count": 8}], "networks": ["10.0.0.0/24"]}
    site = {
        "id": "site",
        "location": "a place",
        "clusters": [{"id": "c", "pods": [pod]}],
        "meters": [json.loads(one.model_dump_json(exclude_none=True)) for one in meters],
    }
    period = {"start": "2020-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"}
    path.write_text(json.dumps({"id": "d", "party": "prover", "period": period, "sites": [site]}))
    return path


class MemorySpool:
    """Files by name, in the order in which they were written."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def put(self, name: str, chunks: Sequence[bytes | memoryview]) -> None:
        self.files[name] = b"".join(chunks)

    @property
    def envelopes(self) -> list[bytes]:
        return [data for name, data in self.files.items() if name.startswith("statements/")]


def read_back(envelopes: Sequence[bytes], key: SigningKey, meters: Sequence[str]) -> list[Segment]:
    """Verify envelopes as a reviewer would; their segments, which must form streams without any problem."""
    anchor = TrustAnchor(
        name="recorder",
        public_key=base64.b64encode(key.public.raw).decode(),
        holder=Holder.PROVER,
        roles=(Role.SENSOR,),
        sensors=tuple(meters),
        valid_from=EVER.start,
        valid_until=EVER.end,
    )
    anchors = TrustAnchors(anchors=(anchor,))
    found = [segment_of(verify_envelope(data, anchors=anchors, where="test")) for data in envelopes]
    streams, problems = order_segments(found, sensors=set(meters), period=EVER)
    assert [str(problem) for problem in problems] == []
    return [segment for stream in streams for segment in stream.segments]


def table(payload: bytes) -> list[dict[str, object]]:
    """The rows of a Parquet payload."""
    rows: list[dict[str, object]] = pq.read_table(io.BytesIO(payload)).to_pylist()
    return rows


def payloads(out: Path) -> dict[str, bytes]:
    return {f"sha256:{path.name}": path.read_bytes() for path in (out / "payloads").iterdir()}


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """A real HTTP server on loopback; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # A client that hangs up on purpose is part of some tests.
            with contextlib.suppress(ConnectionError):
                answer(self)

        def log_message(self, *args: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, body: bytes, *, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
