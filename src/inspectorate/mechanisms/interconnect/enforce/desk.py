"""Where orders for loading windows arrive, and are carried out: the machine of `windows`, with disk, relay and kernel.

The folder of a gateway:

    orders/NAME.json    laid there by `limit window open`: approvals, and where the content is
    answers/NAME.json   what became of it: refused and why, or how the window ended
    close               laid there by `limit window close`
    state.json          the machine's state; written before the kernel opens anything
    status.json         for people

Procedure for an order:

1. approvals are verified again, here, and held against the agreement; the pod must have a loader in the plan
2. the content is staged while the gateway is still restricted; if it is not what was approved, nothing was opened
3. the state is written, then the kernel opens, then the relay sends
4. at every turn: budget, time, the relay's end, a wish to close; whichever comes first closes the kernel, then the state
5. a `WindowUsed` is stated in every case from 2 on, and the approvals are filed with it
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from inspectorate.agreement import LoadingWindows
from inspectorate.canonical import Record, parse_json
from inspectorate.errors import EnvironmentError_, EvidenceError, InspectorateError
from inspectorate.evidence import Origin, WindowEnd, WindowUsed
from inspectorate.files import replace_file
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.interconnect.enforce import kernel, reference, windows
from inspectorate.mechanisms.interconnect.enforce.approvals import agreed_order
from inspectorate.mechanisms.interconnect.enforce.kernel import Runner
from inspectorate.mechanisms.interconnect.enforce.loading import Delivered, Relay, Source, Staged
from inspectorate.mechanisms.interconnect.enforce.plan import LimitPlan, Loader
from inspectorate.mechanisms.interconnect.enforce.ruleset import OpenWindow
from inspectorate.mechanisms.interconnect.enforce.windows import Ended, Event, Order, State
from inspectorate.quantities import Period

FOLDERS = ("orders", "answers", "staging")
Report = Callable[[WindowUsed, dict[str, object], tuple[bytes, ...]], None]
"""Takes what is to be stated of a window, its account, and the envelopes of its approvals."""


class OrderFile(Record):
    """An order as it is laid into the folder."""

    approvals: tuple[str, ...]
    source: Source


@dataclass(kw_only=True)
class _Work:
    """An order that is being carried out."""

    order: Order
    loader: Loader
    approvals: tuple[bytes, ...]
    began: datetime
    staging: Future[Staged]
    staged: Staged | None = None
    sending: Future[Delivered] | None = None


@dataclass(kw_only=True)
class Desk:
    """Carries out orders, one at a time. `commit` makes a change to the rules that the daemon knows to be its own."""

    plan: LimitPlan
    terms: LoadingWindows
    anchors: TrustAnchors
    folder: Path
    relay: Relay
    run: Runner
    commit: Callable[[Callable[[], None]], None]
    report: Report
    origin: Origin
    state: State = field(default_factory=State)
    _work: _Work | None = None

    @property
    def window(self) -> OpenWindow | None:
        """The window that the kernel should hold now."""
        work = self._work
        if work is None or self.state.order is None:
            return None
        return OpenWindow(pod=work.order.pod, loader=work.loader, bytes_max=work.order.bytes_max)

    def recover(self, now: datetime) -> None:
        """Account for a window that a crash cut off. Called before the rules are loaded anew, while their counts may be there."""
        self.state = read_state(self.folder)
        order = self.state.order
        self.state, ended = windows.step(self.state, windows.Restart(), now, self.terms)
        if order is None or ended is None:
            return
        moved, back = self._counts(order)
        self._save()
        self._account(ended, moved, back, content=None, fault="the gateway's program ended while the window was open")

    def turn(self, now: datetime) -> None:
        """One look at everything."""
        closing = self._wants_close()
        if self._work is None:
            self._take(now)
            return
        if self.state.order is None:
            self._when_staged(self._work, now, closing)
            return
        self._step(windows.Stop() if closing else self._seen(self._work), now)

    def shut(self, now: datetime) -> None:
        """End what is going on, since the daemon ends."""
        if self._work is None:
            return
        if self.state.order is not None:
            self._step(windows.Stop(), now)
        else:
            self._not_opened(self._work, now, WindowEnd.CLOSED, "the gateway's program ended")

    # --- (1) ---

    def _take(self, now: datetime) -> None:
        waiting = sorted((self.folder / "orders").glob("*.json"))
        if not waiting:
            return
        path = waiting[0]
        try:
            with path.open("rb") as file:
                data = file.read(reference.ORDER_BYTES_MAX + 1)
            path.unlink()
            self._work = self._begin(data, now)
        except OSError as fault:
            raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=str(path)) from None
        except InspectorateError as fault:
            self._answer(path.stem, {"answer": "refused", "reason": str(fault)})

    def _begin(self, data: bytes, now: datetime) -> _Work:
        if len(data) > reference.ORDER_BYTES_MAX:
            raise EvidenceError(f"an order of more than {reference.ORDER_BYTES_MAX} bytes")
        asked = OrderFile.parse(parse_json(data, where="order"), where="order", error=EvidenceError)
        envelopes = tuple(text.encode() for text in asked.approvals)
        order = agreed_order(envelopes, anchors=self.anchors, gateway=self.plan.gateway)
        if asked.source.window != order.window:
            raise EvidenceError(f"is for window {order.window}, not {asked.source.window}", where="order")
        windows.refuse(self.state, order, now, self.terms)
        planned = self.plan.pod(order.pod)
        if planned is None or planned.loader is None:
            raise windows.Refused(f"the plan has no loader for {order.pod}", where=f"window {order.window}")
        staging = self.relay.stage(asked.source, order.bytes_max)
        return _Work(order=order, loader=planned.loader, approvals=envelopes, began=now, staging=staging)

    # --- (2), (3) ---

    def _when_staged(self, work: _Work, now: datetime, closing: bool) -> None:
        if closing:
            self.relay.stop()
            self._not_opened(work, now, WindowEnd.CLOSED, "closed by hand while its content was being taken in")
            return
        if not work.staging.done():
            return
        work.staged = staged = work.staging.result()
        if staged.fault is not None or staged.digest != work.order.content:
            end = WindowEnd.BUDGET if staged.size_bytes > work.order.bytes_max else WindowEnd.CONTENT
            self._not_opened(work, now, end, staged.fault or f"the content has digest {staged.digest}")
            return
        try:
            state, _ = windows.step(self.state, windows.Open(order=work.order, staged=staged.digest), now, self.terms)
        except windows.Refused as fault:
            self._not_opened(work, now, WindowEnd.TIME, str(fault))
            return
        self.state = state
        self._save()
        port = self.relay.bind(work.loader)
        window = self.window
        assert window is not None, "the state says that one is open"
        kernel.fresh_counts(work.order.pod, self.run)
        self.commit(lambda: kernel.open_window(window, port, work.order.seconds_max, self.run))
        work.sending = self.relay.send(staged, work.loader)

    # --- (4) ---

    def _seen(self, work: _Work) -> Event:
        """What is to be held against the open window now. The budget is looked at first: it is the kernel's word."""
        asked = kernel.asked_bytes(work.order.pod, self.run)
        if asked < work.order.bytes_max and work.sending is not None and work.sending.done():
            return windows.Sent(content=work.sending.result().digest)
        return windows.Look(asked_bytes=asked)

    def _step(self, event: Event, now: datetime) -> None:
        self.state, ended = windows.step(self.state, event, now, self.terms)
        if ended is None:
            return
        work, self._work = self._work, None
        assert work is not None, "an open window has work"
        self.commit(lambda: kernel.close_window(ended.order.pod, self.run))
        self.relay.stop()
        moved, back = self._counts(ended.order)
        self._save()
        content, fault = None, None
        if work.sending is not None and work.sending.done():
            content, fault = work.sending.result().digest, work.sending.result().fault
        if work.staged is not None:
            work.staged.file.close()
        self._account(ended, moved, back, content=content, fault=fault, approvals=work.approvals)

    # --- (5) ---

    def _not_opened(self, work: _Work, now: datetime, end: WindowEnd, reason: str) -> None:
        """A window that came to nothing before it opened: its name is used up all the same."""
        self._work = None
        self.relay.stop()
        if work.staged is not None:
            work.staged.file.close()
        self.state = self.state.model_copy(update={"used": (*self.state.used, work.order.window)})
        self._save()
        period = Period(start=work.began, end=max(now, work.began + timedelta(microseconds=1)))
        ended = Ended(order=work.order, period=period, end=end)
        self._account(ended, 0, 0, content=None, fault=reason, approvals=work.approvals)

    def _account(
        self,
        ended: Ended,
        moved: int,
        back: int,
        *,
        content: str | None,
        fault: str | None,
        approvals: tuple[bytes, ...] = (),
    ) -> None:
        order = ended.order
        used = WindowUsed(
            origin=self.origin,
            reporter=self.plan.gateway,
            period=ended.period,
            window=order.window,
            pod=order.pod,
            bytes_moved=moved,
            bytes_back=back,
            content=content,
            end=ended.end,
        )
        account: dict[str, object] = {"order": order.model_dump(mode="json"), "fault": fault or ""}
        self.report(used, account, approvals)
        self._answer(
            order.window,
            {
                "answer": "ended",
                "end": ended.end.value,
                "bytes_moved": moved,
                "bytes_back": back,
                "seconds": ended.period.duration_s,
                "reason": fault or "",
            },
        )

    def _counts(self, order: Order) -> tuple[int, int]:
        """What went through the window and what came back: the kernel's count, or else the most that could have."""
        try:
            return kernel.window_counts(order.pod, self.run)
        except InspectorateError:
            planned = self.plan.pod(order.pod)
            rate, burst = (planned.sent_bytes_per_s, planned.burst_bytes) if planned else (0, 0)
            return order.bytes_max, round(rate * order.seconds_max + burst)

    # --- the folder ---

    def _wants_close(self) -> bool:
        path = self.folder / "close"
        if not path.exists():
            return False
        path.unlink(missing_ok=True)
        return True

    def _save(self) -> None:
        replace_file(self.folder / "state.json", self.state.canonical_bytes())

    def _answer(self, name: str, answer: dict[str, Any]) -> None:
        replace_file(self.folder / "answers" / f"{name}.json", json.dumps({"window": name, **answer}).encode())


def prepare(folder: Path) -> None:
    """Make the folder of a gateway, for its owner only. Raises `EnvironmentError_`."""
    try:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as fault:
        raise EnvironmentError_(f"cannot be used: {fault.strerror}", where=str(folder)) from None


def read_state(folder: Path) -> State:
    """The state that an earlier run left; restricted, and nothing used, if there is none. Raises `EvidenceError`."""
    path = folder / "state.json"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return State()
    except OSError as fault:
        raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=str(path)) from None
    return State.parse(parse_json(data, where=str(path)), where=str(path), error=EvidenceError)
