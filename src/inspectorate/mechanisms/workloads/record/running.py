"""Recording as it runs: a thread for each meter polls its sources on the grid, one thread cuts what they showed.

- A meter whose source is slow misses polls of its own and holds up no other.
- At the stop every meter finishes the poll that it is in; one that does not end within `STOP_S_MAX` loses that poll, and it
  counts as dropped.
- What was shown before a segment's end is fed before that segment is closed, because a meter's own thread says both, in order.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from inspectorate.errors import EnvironmentError_, EvidenceError
from inspectorate.mechanisms.workloads.record.grid import Due, Grid
from inspectorate.mechanisms.workloads.record.recorder import TelemetryRecorder
from inspectorate.mechanisms.workloads.record.source import Scrape, Source
from inspectorate.mechanisms.workloads.telemetry.frame import Samples

STOP_S_MAX = 15.0
WAIT_S_MAX = 0.25
"""How long at most until a stop is seen."""


@dataclass(frozen=True, kw_only=True)
class _Began:
    """A meter's poll begins; all that it showed before `now_ns` has been said."""

    meter: str
    now_ns: int
    due: Due


@dataclass(frozen=True, kw_only=True)
class _Answered:
    """What one source of a meter showed, or why it showed nothing."""

    meter: str
    answer: Samples | Scrape | None
    fault: str = ""


_Said = _Began | _Answered


def run(
    recorder: TelemetryRecorder,
    sources: Mapping[str, Sequence[Source]],
    *,
    every_ns: int,
    clock_ns: Callable[[], int],
    stop: Callable[[int], bool],
    on_turn: Callable[[], None] | None = None,
) -> None:
    """Record until `stop(now_ns)`, then end every stream. Raises what the recorder's sink raises; streams then stay unclosed."""
    said: queue.SimpleQueue[_Said] = queue.SimpleQueue()
    stopping = threading.Event()
    pool = ThreadPoolExecutor(max_workers=len(sources), thread_name_prefix="meter")
    begun_ns = clock_ns()
    threads = [
        pool.submit(_poll_meter, meter, own, Grid(every_ns, start_ns=begun_ns), (clock_ns, stopping, said.put))
        for meter, own in sources.items()
    ]
    try:
        while not stop(clock_ns()):
            _take(recorder, said, every_ns, wait_s=WAIT_S_MAX)
            _raise_faults(threads)
            if on_turn is not None:
                on_turn()
    finally:
        stopping.set()
        done, late = wait(threads, timeout=STOP_S_MAX)
        pool.shutdown(wait=not late, cancel_futures=True)
    while not said.empty():
        _take(recorder, said, every_ns, wait_s=0.0)
    _raise_faults(list(done))
    for meter, thread in zip(sources, threads, strict=True):
        if thread in late:
            recorder.failed(meter, "did not answer before the recording ended")
    recorder.close(clock_ns())


def _poll_meter(
    meter: str,
    sources: Sequence[Source],
    grid: Grid,
    edge: tuple[Callable[[], int], threading.Event, Callable[[_Said], None]],
) -> None:
    """Poll one meter on its grid until the event is set."""
    clock_ns, stopping, say = edge
    while not stopping.is_set():
        now_ns = clock_ns()
        due = grid.due(now_ns)
        if due is None:
            stopping.wait(min(max((grid.next_ns - now_ns) / 1e9, 0.0), WAIT_S_MAX))
            continue
        say(_Began(meter=meter, now_ns=now_ns, due=due))
        for source in sources:
            try:
                say(_Answered(meter=meter, answer=source.poll()))
            except (EnvironmentError_, EvidenceError) as fault:
                say(_Answered(meter=meter, answer=None, fault=str(fault)))


def _take(recorder: TelemetryRecorder, said: queue.SimpleQueue[_Said], every_ns: int, *, wait_s: float) -> None:
    """Take what one meter said, if it says anything in time."""
    try:
        one = said.get(timeout=wait_s) if wait_s else said.get_nowait()
    except queue.Empty:
        return
    match one:
        case _Began(meter=meter, now_ns=now_ns, due=due):
            if due.missed:
                recorder.missed(meter, due.missed, first_ns=due.first_ns, every_ns=every_ns)
            recorder.tick(meter, now_ns)
        case _Answered(meter=meter, answer=None, fault=fault):
            recorder.failed(meter, fault)
        case _Answered(meter=meter, answer=answer):
            assert answer is not None
            try:
                recorder.feed(meter, answer)
            except EvidenceError as fault:
                recorder.failed(meter, str(fault))


def _raise_faults(threads: Sequence[Future[None]]) -> None:
    """A thread ends early only by a fault of our own, which is not swallowed."""
    for thread in threads:
        if thread.done():
            thread.result()
