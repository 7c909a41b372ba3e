"""What the interlock costs on the serving path: `python -m bench interlock`, or `python bench/interlock.py [--seconds S]`.

Server, path and clients are three processes on this machine, all over the loopback. Every figure compares the same clients on the
same server, directly and through the path, in turns within one run; so a busy machine slows both.

- `paced`: a server that makes 2,000 tokens/s in all, an event each, however many clients share it: like a model, it sets the pace.
- `lab`: the inference service of the lab (`inspectorate.lab.work_serve`) with an untrained model, if torch is installed.
- `unpaced`: a server that writes events as fast as it can: then the path is the slowest part, and its own rate is measured.
- `tiny`: answers of one token from a server that needs no time at all.

Latency is of one client at a time, whose requests go directly and through the path in turn: the median of the differences of
each pair in the time to the first event. Targets: less than 2 ms added, and more than 90 % of direct throughput, on `paced` and
`lab`. The other two are printed as what they are: the most that the path can carry on one core. Exits 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from rich.console import Console
from rich.table import Table

from inspectorate.mechanisms.guarantee.events import Mode, Refusal
from inspectorate.mechanisms.guarantee.interlock.desk import Edges
from inspectorate.mechanisms.guarantee.interlock.gate import Admitted, Answered, Asked, Listener, Upstream
from inspectorate.mechanisms.guarantee.interlock.path import DataPath
from inspectorate.mechanisms.guarantee.interlock.samples import SampleStore
from inspectorate.mechanisms.guarantee.interlock.upload import Quarantine
from inspectorate.mechanisms.guarantee.rulesets.types import Limits, ListedModel

ADDED_MS_MAX = 2.0
SHARE_MIN = 0.9
PACED_TOKENS_PER_S = 2_000
TOKENS = 64
LAB_TOKENS = 16
ROUNDS = 3
PAIRS = 100
FEW_TOKENS = 4
CLIENTS = (1, 16, 128)
EVENT = (
    b"data: " + json.dumps({"id": "cmpl-0", "object": "text_completion", "choices": [{"text": "x"}]}).encode() + b"\n\n"
)
CHUNK = b"%x\r\n%s\r\n" % (len(EVENT), EVENT)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
LIMITS = Limits(
    in_bytes_per_s_max=1e10,
    out_bytes_per_s_max=1e10,
    burst_bytes_max=1e9,
    request_bytes_max=1 << 20,
    response_bytes_max=1 << 22,
    concurrent_max=10_000,
)


class Open:
    """A gate that admits everything, and the loader of a server that runs already: what is measured is the path."""

    mode = Mode.SERVING
    halted_by: Refusal | None = None
    limits: Limits | None = LIMITS

    def __init__(self) -> None:
        self.tickets = 0

    def begin_upload(self, content: str, size_bytes: int) -> ListedModel | Refusal:
        raise AssertionError("nothing is uploaded here")

    def end_upload(self, complete: bool, content_seen: str, bytes_seen: int) -> Refusal | None:
        raise AssertionError("nothing is uploaded here")

    def admit(self, asked: Asked) -> Admitted | Refusal:
        self.tickets += 1
        return Admitted(ticket=self.tickets)

    def settle(self, ticket: int, answered: Answered) -> None: ...

    def note(self, refusal: Refusal) -> None: ...

    def unloaded(self, why: str) -> None: ...

    def watch(self, listener: Listener) -> None: ...

    async def load(self, model: ListedModel, file: Path) -> Upstream:
        raise AssertionError("nothing is uploaded here")

    async def unload(self) -> None: ...


def serve_path(ready: Connection, server_port: int) -> None:
    """The path, in a process of its own."""

    async def run(folder: Path) -> None:
        gate = Open()
        edges = Edges(
            now=lambda: datetime.now(UTC), random=os.urandom, samples=SampleStore(folder / "samples", b"k" * 32)
        )
        path = DataPath(gate, edges, quarantine=Quarantine(folder / "models"), loader=gate)
        _, port = await path.start("127.0.0.1", 0)
        path.serve(Upstream(port=server_port), "sha256:" + "0" * 64)
        ready.send(port)
        assert path.ended is not None
        await path.ended

    with tempfile.TemporaryDirectory() as made:
        asyncio.run(run(Path(made)))


def serve_events(ready: Connection, per_s: float) -> None:
    """A server of events, at `per_s` over all clients together; 0: as fast as it can."""
    free_at = 0.0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal free_at
        loop = asyncio.get_running_loop()
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                tokens = json.loads(await reader.readexactly(size))["max_tokens"]
                writer.write(HEAD)
                for _ in range(tokens):
                    if per_s:
                        free_at = max(free_at, loop.time()) + 1 / per_s
                        await asyncio.sleep(free_at - loop.time())
                    writer.write(CHUNK)
                    await writer.drain()
                writer.write(END)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=4096)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def serve_lab(ready: Connection, per_s: float) -> None:
    """The lab's inference service with a model that was never trained; torch is loaded in this process only."""
    lm = importlib.import_module("inspectorate.lab.work_lm")
    work = importlib.import_module("inspectorate.lab.work_serve")
    importlib.import_module("torch").set_num_threads(1)
    work.emit = lambda *words, **said: None
    service = work.Service(0, lm.build(1).eval(), 1)
    ready.send(service.server_address[1])
    service.serve_forever()


@contextmanager
def running(work: Callable[..., None], argument: float) -> Iterator[int]:
    """A process, and the port at which it listens."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=work, args=(theirs, argument), daemon=True)
    process.start()
    try:
        if not ours.poll(60):
            raise RuntimeError(f"{work.__name__} did not start")
        yield int(ours.recv())
    finally:
        process.kill()
        process.join()


@dataclass(frozen=True, kw_only=True)
class Done:
    """One request."""

    first_s: float
    whole_s: float


async def ask(port: int, tokens: int) -> Done:
    """One request on a connection of its own, read to its end."""
    content = json.dumps({"prompt": "Once upon a time", "max_tokens": tokens}).encode()
    head = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(head + b"Content-Length: %d\r\n\r\n" % len(content) + content)
    await reader.readuntil(b"data: ")
    first_s = time.perf_counter() - started
    await reader.readuntil(b"data: [DONE]\n\n")
    whole_s = time.perf_counter() - started
    writer.transport.abort()
    return Done(first_s=first_s, whole_s=whole_s)


async def added_ms(direct: int, through: int, tokens: int) -> tuple[float, float, float]:
    """Median time to the first event directly; median and 95th percentile of what the path adds, in ms."""
    pairs = [((await ask(direct, tokens)).first_s, (await ask(through, tokens)).first_s) for _ in range(PAIRS)]
    added = sorted(1000 * (b - a) for a, b in pairs)
    return 1000 * statistics.median(a for a, _ in pairs), statistics.median(added), added[int(0.95 * len(added))]


async def requests_per_s(port: int, tokens: int, clients: int, seconds: float) -> float:
    """Requests that many clients, each of which asks again at once, get answered in a second."""
    done, started = 0, time.perf_counter()

    async def client() -> None:
        nonlocal done
        while time.perf_counter() - started < seconds:
            await ask(port, tokens)
            done += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    return done / (time.perf_counter() - started)


async def share(direct: int, through: int, tokens: int, clients: int, seconds: float) -> tuple[float, float]:
    """Median requests/s directly, and the median share of it through the path, measured in turn."""
    rates = [
        (
            await requests_per_s(direct, tokens, clients, seconds),
            await requests_per_s(through, tokens, clients, seconds),
        )
        for _ in range(ROUNDS)
    ]
    return statistics.median(a for a, _ in rates), statistics.median(b / a for a, b in rates)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each of the measurements of throughput")
    parser.add_argument("--only", help="one kind of server, by its name")
    options = parser.parse_args()
    seconds = options.seconds
    kinds: list[tuple[str, Callable[..., None], float, int, tuple[int, ...]]] = [
        ("paced", serve_events, PACED_TOKENS_PER_S, TOKENS, CLIENTS),
        ("unpaced", serve_events, 0, TOKENS, (16,)),
        ("tiny", serve_events, 0, 1, (16,)),
    ]
    if importlib.util.find_spec("torch"):
        kinds.insert(1, ("lab", serve_lab, 0, LAB_TOKENS, (1, 16)))
    table = Table("server", "clients", "direct", "through the path", "target")
    met = True
    for name, work, per_s, tokens, clients in kinds:
        if options.only not in (None, name):
            continue
        bound = name in ("paced", "lab")
        with running(work, per_s) as direct, running(serve_path, direct) as through:
            asyncio.run(requests_per_s(through, tokens, 2, 0.3))
            first, added, late = asyncio.run(added_ms(direct, through, min(tokens, FEW_TOKENS)))
            goal = f"< {ADDED_MS_MAX:g} ms" if bound else ""
            table.add_row(f"{name}: first event", "1", f"{first:.2f} ms", f"+{added:.2f} ms (95 %: +{late:.2f})", goal)
            met &= added < ADDED_MS_MAX or not bound
            for count in clients:
                rate, part = asyncio.run(share(direct, through, tokens, count, seconds))
                goal = f"> {SHARE_MIN:.0%}" if bound else ""
                said = f"{rate:,.0f} requests/s ({rate * tokens:,.0f} events/s)"
                table.add_row(f"{name}: {tokens} tokens", str(count), said, f"{part:.1%}", goal)
                met &= part > SHARE_MIN or not bound
    Console(width=120).print(table)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
