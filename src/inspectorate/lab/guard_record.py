"""Record a guarded pod: a processor with a TPM beside a real server, clients, an inspector who asks, and, if wished, attacks."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from inspectorate.assessment import Verdict
from inspectorate.errors import EnvironmentError_
from inspectorate.lab.guard_attacks import Attacks, Met
from inspectorate.lab.guard_bench import Clients
from inspectorate.lab.guard_package import Inspector, package
from inspectorate.lab.guard_session import Session, guarded
from inspectorate.lab.packing import reviewed

LAST_REPORTS = 2
"""Periods that are waited for at the end, so that all that happened is reported."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What came of it."""

    met: tuple[Met, ...]
    outcomes: dict[str, int]
    """What became of the clients' requests."""
    lost_silently: int
    verdicts: dict[str, Verdict]
    """What the review of the site found, by clause."""
    unnamed: tuple[str, ...]
    """Attacks that the review does not name."""


@dataclass(frozen=True, kw_only=True)
class GuardPlan:
    """How long, how often, and whether it is attacked."""

    seconds: float
    report_every_s: float
    attacked: bool
    sampled_share: float = 0.05


def record(out: Path, *, work: Path, plan: GuardPlan) -> Recorded:
    """Run a guarded pod in the new folder `work`, and write its site into the new folder `out`. Raises `EnvironmentError_`."""
    inspector = Inspector.make()
    with guarded(work, report_every_s=plan.report_every_s, sampled_share=plan.sampled_share) as session:
        clients = Clients(address=lambda: session.guard.address)
        attacks = Attacks(
            guard=session.guard,
            signers=session.signers,
            ruleset=session.ruleset,
            approved=session.approved,
            other=session.other,
            device=session.device,
            clients=clients,
        )
        with clients, _asking(session, inspector, plan.report_every_s):
            if plan.attacked:
                attacks.run()
            else:
                attacks.begin()
                threading.Event().wait(plan.seconds)
            threading.Event().wait(LAST_REPORTS * plan.report_every_s)
        session.guard.stop()
        package(session, inspector, out, met=attacks.met, forged=plan.attacked)
    found = reviewed(out)
    words = "\n".join(reason for finding in found.findings for one in finding.assessments for reason in one.reasons)
    expected = {one.attack: one.expected.value for one in attacks.met}
    if plan.attacked:
        expected["a replayed quote"] = "its quote does not hold"
    return Recorded(
        met=tuple(attacks.met),
        outcomes=dict(clients.outcomes),
        lost_silently=len(clients.silent),
        verdicts={finding.clause: finding.verdict for finding in found.findings},
        unnamed=tuple(attack for attack, word in expected.items() if word not in words),
    )


class _asking:  # noqa: N801 - a context, read as a verb
    """An inspector who asks the processor once per period, whether it answers or not."""

    def __init__(self, session: Session, inspector: Inspector, every_s: float) -> None:
        self._session, self._inspector, self._every_s = session, inspector, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._inspector.challenge(self._session)
            except EnvironmentError_:
                # It does not run at present; that it was asked stands all the same.
                continue
