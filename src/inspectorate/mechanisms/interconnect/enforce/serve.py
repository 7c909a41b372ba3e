"""The daemon of a gateway: it loads a plan, keeps the switch on, watches, attests, and carries out loading windows.

Every `reference.SWITCH_EVERY_S`:

1. The generation of the rules must be that after our own last change. If it is another, somebody changed them: traffic is
   stopped, this is attested, and the daemon ends. Whether the change was undone since does not matter.
2. The switch is renewed, which is a change of our own.
3. Loading windows: one step (`desk`).
4. Every `reference.CHECK_EVERY_S`, or as often as it attests: what runs is read back as a whole, and must be what the plan
   says. If not: as in 1.
5. Every `attest_every_s`: a statement of what runs is signed and filed, in a thread of its own, since disks can be slow.

However the daemon ends, traffic ends: by `lapse` if it comes to that, by the kernel's forgetting the switch if it does not.
A statement that cannot be filed ends the daemon, too. Restarting is for whoever supervises it; the rules are then loaded anew.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from inspectorate.errors import EnvironmentError_
from inspectorate.evidence import WindowUsed
from inspectorate.mechanisms.interconnect.enforce import kernel, reference
from inspectorate.mechanisms.interconnect.enforce.attest import Attester
from inspectorate.mechanisms.interconnect.enforce.desk import Desk
from inspectorate.mechanisms.interconnect.enforce.generation import generation
from inspectorate.mechanisms.interconnect.enforce.kernel import Runner
from inspectorate.mechanisms.interconnect.enforce.plan import LimitPlan
from inspectorate.mechanisms.interconnect.enforce.readback import Running
from inspectorate.mechanisms.interconnect.enforce.snapshot import Snapshot, judge
from inspectorate.quantities import Period


class RulesChanged(Exception):
    """Somebody else changed what the kernel runs. Never leaves this module: it becomes what `serve` returns."""


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """Time as the daemon sees it."""

    now: Callable[[], datetime]
    monotonic_s: Callable[[], float]
    sleep: Callable[[float], None]


class Daemon:
    """One gateway under one plan (procedure in the module's docstring). `serve` runs it."""

    def __init__(
        self,
        plan: LimitPlan,
        run: Runner,
        attester: Attester,
        clocks: Clocks,
        *,
        attest_every_s: float,
        status: Path | None,
    ) -> None:
        self._plan = plan
        self._run = run
        self._attester = attester
        self._clocks = clocks
        self._attest_every_s = attest_every_s
        self._status = status
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="statements")
        self._filing: list[Future[Any]] = []
        self._generation = 0
        self._attested_until: datetime | None = None
        self._renewed_s = 0.0
        self._lapsed = False
        self.late_renewals = 0
        self.desk: Desk | None = None

    def serve(self, stop: Callable[[], bool]) -> str | None:
        """Run until `stop` says so; why it ended, if it was for a change of the rules.

        Raises `InputError` or `EnvironmentError_` where a plan cannot be loaded or a statement cannot be filed.
        """
        changed: str | None = None
        try:
            if self.desk:
                self.desk.recover(self._clocks.now())
            kernel.load(self._plan, self._run)
            self._generation = generation()
            self._renew()
            self._attested_until = self._clocks.now()
            self._turns(stop)
        except RulesChanged as fault:
            changed = str(fault)
        finally:
            kernel.lapse(self._run)
            self._end(changed)
        return changed

    def commit(self, change: Callable[[], None]) -> None:
        """Make a change of our own to the rules: exactly one generation more. Raises `RulesChanged`.

        Once traffic has been stopped, who changes what no longer matters, and the rules may be gone.
        """
        if self._lapsed:
            with contextlib.suppress(EnvironmentError_):
                change()
            return
        self._check_generation(self._generation)
        change()
        self._generation += 1
        self._check_generation(self._generation)

    def report(self, used: WindowUsed, account: dict[str, object], approvals: tuple[bytes, ...]) -> None:
        """File a window's statement, and the approvals that it rests on."""
        for envelope in approvals:
            self._file(self._attester.file, envelope)
        self._file(self._attester.window_used, used, account)

    def _turns(self, stop: Callable[[], bool]) -> None:
        check_due_s = attest_due_s = self._clocks.monotonic_s()
        check_every_s = min(reference.CHECK_EVERY_S, self._attest_every_s)
        check_due_s += check_every_s
        attest_due_s += self._attest_every_s
        while not stop():
            # (1), (2)
            self._renew()
            # (3)
            if self.desk:
                self.desk.turn(self._clocks.now())
            now_s = self._clocks.monotonic_s()
            # (4), (5)
            if now_s >= check_due_s:
                check_due_s = now_s + check_every_s
                snapshot, running = self._look()
                if running.faults:
                    raise RulesChanged("; ".join(running.faults))
                if now_s >= attest_due_s:
                    attest_due_s += self._attest_every_s * max(
                        1, int((now_s - attest_due_s) / self._attest_every_s) + 1
                    )
                    self._attest(snapshot, running, unchanged=True)
                self._write_status(running)
            self._collect_filed()
            self._clocks.sleep(max(0.0, self._renewed_s + reference.SWITCH_EVERY_S - self._clocks.monotonic_s()))

    def _renew(self) -> None:
        now_s = self._clocks.monotonic_s()
        if self._renewed_s and now_s - self._renewed_s > reference.SWITCH_TIMEOUT_S:
            self.late_renewals += 1
        self._renewed_s = now_s
        self.commit(lambda: kernel.keep_alive(self._run))

    def _check_generation(self, expected: int) -> None:
        actual = generation()
        if actual != expected:
            raise RulesChanged(f"somebody else changed the rules: generation {actual}, not {expected}")

    def _look(self) -> tuple[Snapshot, Running]:
        snapshot = kernel.read(self._plan.interfaces, self._run)
        return snapshot, judge(snapshot, self._plan, self.desk.window if self.desk else None)

    def _attest(self, snapshot: Snapshot, running: Running, *, unchanged: bool) -> None:
        now = self._clocks.now()
        # A clock that was set back gives no period; the next attestation covers the stretch, or a gap is seen.
        if self._attested_until is None or now <= self._attested_until:
            self._attested_until = min(now, self._attested_until or now)
            return
        period = Period(start=self._attested_until, end=now)
        self._attested_until = now
        self._file(lambda: self._attester.attest(snapshot, running, period, unchanged=unchanged))

    def _end(self, changed: str | None) -> None:
        """The last statements, once traffic has stopped."""
        self._lapsed = True
        try:
            if self.desk:
                self.desk.shut(self._clocks.now())
            if self._attested_until is not None:
                snapshot, running = self._look()
                self._attest(snapshot, running, unchanged=changed is None)
        finally:
            self._writer.shutdown(wait=True)
        self._collect_filed()

    def _file(self, write: Callable[..., Any], *arguments: Any) -> None:
        self._filing.append(self._writer.submit(write, *arguments))

    def _collect_filed(self) -> None:
        """Take note of what was filed. Raises what filing raised."""
        done = [future for future in self._filing if future.done()]
        self._filing = [future for future in self._filing if not future.done()]
        for future in done:
            future.result()

    def _write_status(self, running: Running) -> None:
        if self._status is None:
            return
        state = self.desk.state if self.desk else None
        text = json.dumps(
            {
                "at": self._clocks.now().isoformat(),
                "gateway": self._plan.gateway,
                "position": state.position.value if state else "restricted",
                "window": state.order.window if state and state.order else None,
                "late_renewals": self.late_renewals,
                "statements": self._attester.filed,
                "pods": [counted.model_dump() for counted in running.counted],
            }
        )
        partial = self._status.with_name(f".{self._status.name}")
        try:
            partial.write_text(text + "\n")
            partial.replace(self._status)
        except OSError as fault:
            raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(self._status)) from None
