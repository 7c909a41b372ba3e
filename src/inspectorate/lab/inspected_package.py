"""What was stated at an inspected site, as a site that can be reviewed: see `packing`; and OUT/truth.json, which no review reads.

The prover signs the declaration and its transcripts; the inspectors are the verifier's. The terms are the shipped ones for
inspected pods, with the times of the bench, and without what needs other sensors.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from inspectorate.agreement import (
    AccountedFlop,
    Agreement,
    HiddenTraining,
    InspectionRooms,
    ReplayedWork,
    ReviewedCode,
    load_agreement,
)
from inspectorate.declaration import (
    ChipGroup,
    Cluster,
    Declaration,
    Pod,
    Reporter,
    ReporterKind,
    Site,
    WorkloadClaim,
    WorkloadKind,
)
from inspectorate.evidence import Origin, WorkCommitted
from inspectorate.keys import Holder, LedgerAnchor, Role, SigningKey, TrustAnchors
from inspectorate.lab.inspected_bench import CLAIMS, PODS, SERVING, TRAINING, Work
from inspectorate.lab.inspected_parties import REPORTER, Table
from inspectorate.lab.inspected_program import PROGRAM
from inspectorate.lab.packing import anchor, write_site
from inspectorate.ledger import KeyKind, Log, VerifierKey
from inspectorate.quantities import Period
from inspectorate.submission import ledger_entry, submit

AGREEMENT = "inference-only-inspected"
PARTY = "operator"
CHIP = "x86-64-core-avx512"
INSPECTORS = ("inspector-a", "inspector-b")
LOG_ORIGIN = "lab.inspectorate.example/inspected"
COMMITTED_EVERY_S = 45.0
DIRTY_SHARE_MAX = 0.1
"""Of a minute of work, some two hundred points of time can be drawn: this is what they bound with room to spare."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The keys of one recording."""

    prover: SigningKey
    transcripts: SigningKey
    log: SigningKey
    inspectors: dict[str, SigningKey]

    @classmethod
    def make(cls) -> Keys:
        def key() -> SigningKey:
            return SigningKey(os.urandom(32))

        return cls(prover=key(), transcripts=key(), log=key(), inspectors={name: key() for name in INSPECTORS})


def anchors_of(keys: Keys, now: datetime) -> TrustAnchors:
    """What a reviewer trusts."""
    return TrustAnchors(
        anchors=(
            anchor(PARTY, keys.prover, Holder.PROVER, Role.DECLARATION, Role.BUNDLE, now=now),
            anchor(REPORTER, keys.transcripts, Holder.PROVER, Role.SENSOR, now=now, sensors=(REPORTER,)),
            *(anchor(name, key, Holder.VERIFIER, Role.INSPECTOR, now=now) for name, key in keys.inspectors.items()),
        ),
        ledgers=(
            LedgerAnchor(origin=LOG_ORIGIN, key=VerifierKey.of(keys.log, name=LOG_ORIGIN, kind=KeyKind.LOG).text),
        ),
    )


def package(site: Work, table: Table, keys: Keys, out: Path) -> None:
    """Write the site into the new folder `out`."""
    declaration = declare(site, table)
    with Log.create(site.folder / "ledger", LOG_ORIGIN, keys.log) as log:
        log.append([ledger_entry(one) for one in table.envelopes])
        contents = submit(
            envelopes=table.envelopes,
            payloads=table.payloads,
            declaration=declaration,
            declaration_key=keys.prover,
            log=log,
            bundle_key=keys.prover,
            created_at=datetime.now(UTC),
            origin=Origin.RECORDED,
        )
    write_site(out, contents, anchors=table.anchors, declaration=declaration, agreement=terms_of_bench())
    (out / "truth.json").write_text(json.dumps(site.told, indent=1, sort_keys=True) + "\n")


def declare(site: Work, table: Table) -> Declaration:
    """Two pods, over the time of their commitments, and what they are said to have done."""
    periods = [one.predicate.period for one in table.statements if isinstance(one.predicate, WorkCommitted)]
    period = Period(start=min(one.start for one in periods), end=max(one.end for one in periods))
    pods = tuple(
        Pod(id=name, chips=(ChipGroup(model=CHIP, count=1),), networks=(f"10.91.0.{place}/32",))
        for place, name in enumerate(PODS.values(), start=1)
    )
    kinds = {
        SERVING: (WorkloadKind.INFERENCE, "a declared model is served to clients", site.snapshot.code),
        TRAINING: (WorkloadKind.TRAINING, "a small declared decoder learns text", PROGRAM.digest),
    }
    claims = tuple(
        WorkloadClaim(id=CLAIMS[run], kind=kind, pods=(PODS[run],), period=period, description=words, code=code)
        for run, (kind, words, code) in kinds.items()
    )
    reporter = Reporter(id=REPORTER, kind=ReporterKind.TRANSCRIPTS, holder=Holder.PROVER, pods=tuple(PODS.values()))
    place = Site(
        id="bench", location="a bench on one machine", clusters=(Cluster(id="pods", pods=pods),), reporters=(reporter,)
    )
    return Declaration(id="bench-inspected", party=PARTY, period=period, sites=(place,), claims=claims)


def terms_of_bench() -> Agreement:
    """The shipped terms, but for what a minute on one machine needs otherwise."""
    terms = load_agreement(AGREEMENT)
    clauses = []
    for clause in terms.clauses:
        match clause.parameters:
            case ReplayedWork() as found:
                changed: dict[str, object] = {
                    "methods": ("exact",),
                    "tolerances": (),
                    "dirty_share_max": DIRTY_SHARE_MAX,
                    "committed_every_s": COMMITTED_EVERY_S,
                }
            case ReviewedCode() as found:
                # The training program is data: no code of the prover's is run again, and none is there to be read.
                changed = {"work": ("inference",)}
            case HiddenTraining() | AccountedFlop() | InspectionRooms() as found:
                changed = {}
            case _:
                continue
        clauses.append(clause.model_copy(update={"parameters": found.model_copy(update=changed)}))
    return terms.model_copy(update={"clauses": tuple(clauses)})
