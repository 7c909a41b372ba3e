"""What a guarded pod stated, as a site that can be reviewed.

    OUT/site.tar           the bundle: reports, rulesets and licences in force, challenges
    OUT/anchors.yaml       what the reviewer trusts: keys, and the verifier's root for TPMs
    OUT/declaration.yaml   the declaration as it was signed, for reading
    OUT/agreement.yaml     the terms: the baseline and the program of this site
    OUT/attacks.json       what was done to it, and what that met; of an honest site, nothing

The processor's key of statements is the prover's: it lies on a disk of the prover's. What the TPM vouches for is not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from inspectorate.agreement import (
    Agreement,
    GuardedOperation,
    GuardOutlet,
    HiddenTraining,
    LicensedWork,
    load_agreement,
)
from inspectorate.canonical import canonical_bytes, digest_of
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
from inspectorate.evidence import (
    ChallengeIssued,
    GuardReported,
    Origin,
    Statement,
    make_statement,
    sign_statement,
)
from inspectorate.evidence.dsse import strict_base64
from inspectorate.keys import Holder, LedgerAnchor, PlatformAnchor, Role, SigningKey, TrustAnchors
from inspectorate.lab.guard_attacks import Met
from inspectorate.lab.guard_folder import REPORTER
from inspectorate.lab.guard_session import CHIP, Session
from inspectorate.lab.inspector import INSPECTOR
from inspectorate.lab.packing import anchor, write_site
from inspectorate.ledger import KeyKind, Log, VerifierKey
from inspectorate.mechanisms.guarantee.attestation.quote import QuotePayload
from inspectorate.mechanisms.guarantee.attestation.reference import CONFIGURATION
from inspectorate.mechanisms.guarantee.outlet.codec import decode, encode
from inspectorate.mechanisms.guarantee.outlet.opening import CHECKPOINT_NAME, QUOTE_NAME
from inspectorate.quantities import Period
from inspectorate.submission import read_spool, submit

AGREEMENT = "inference-only-guarded"
PARTY, POD = "operator", "pod-a"
LOG_ORIGIN = "lab.inspectorate.example/guard"


@dataclass(kw_only=True)
class Inspector:
    """Asks the processor for signs of life, and writes down what it asked."""

    key: SigningKey
    statements: list[bytes]
    payloads: dict[str, bytes]

    @classmethod
    def make(cls) -> Inspector:
        return cls(key=SigningKey(os.urandom(32)), statements=[], payloads={})

    def challenge(self, session: Session) -> None:
        """Choose a nonce, sign that it was chosen now, and have it handed in."""
        nonce = os.urandom(32).hex()
        request = canonical_bytes({"reporter": REPORTER, "nonce": nonce})
        asked = ChallengeIssued(
            origin=Origin.RECORDED, reporter=REPORTER, by=INSPECTOR, nonce=nonce, issued_at=datetime.now(UTC)
        )
        digest = digest_of(request)
        self.payloads[digest] = request
        self.statements.append(sign_statement(make_statement(asked, {"request": digest}), self.key))
        session.guard.ask("challenge", nonce=nonce)


def replayed_quote(session: Session, statements: Sequence[bytes], payloads: dict[str, bytes]) -> tuple[bytes, bytes]:
    """A report that the operator makes up: a next period in which all was well, with the quote of an earlier report.

    The statement, and the made-up checkpoint. The operator has the key of statements, and not the TPM's.
    """
    report, digests = _reports(statements)[-1]
    before = decode(payloads[digests[CHECKPOINT_NAME]], where="last report")
    period = Period(start=before.period.end, end=before.period.end + (before.period.end - before.period.start))
    made_up = before.model_copy(
        update={
            "sequence": before.sequence + 1,
            "previous": digests[CHECKPOINT_NAME],
            "period": period,
            "events": {},
            "held_s": 0.0,
        }
    )
    data = encode(made_up)
    predicate = GuardReported.model_validate({**report.model_dump(), "period": period, "sequence": made_up.sequence})
    subjects = {CHECKPOINT_NAME: digest_of(data), QUOTE_NAME: digests[QUOTE_NAME]}
    return sign_statement(make_statement(predicate, subjects), session.statement_key), data


def package(
    session: Session, inspector: Inspector, out: Path, *, met: Sequence[Met] = (), forged: bool = False
) -> Declaration:
    """Write the site into the new folder `out`."""
    statements, payloads = read_spool(session.folder / "spool")
    if forged:
        statement, data = replayed_quote(session, statements, payloads)
        statements, payloads = [*statements, statement], payloads | {digest_of(data): data}
    statements = [*statements, *inspector.statements]
    payloads = payloads | inspector.payloads
    declaration = _declare(statements)
    prover, log_key = SigningKey(os.urandom(32)), SigningKey(os.urandom(32))
    with Log.create(session.folder / "ledger", LOG_ORIGIN, log_key) as log:
        log.append([bytes.fromhex(digest_of(one).removeprefix("sha256:")) for one in statements])
        contents = submit(
            envelopes=statements,
            payloads=payloads,
            declaration=declaration,
            declaration_key=prover,
            log=log,
            bundle_key=prover,
            created_at=datetime.now(UTC),
            origin=Origin.RECORDED,
        )
    anchors = _anchors(session, inspector, prover, log_key, declaration)
    agreement = _agreement(session, statements, payloads)
    write_site(out, contents, anchors=anchors, declaration=declaration, agreement=agreement)
    told = [
        {"attack": one.attack, "expected": one.expected.value, "seconds": round(one.seconds, 3), "told": one.told}
        for one in met
    ]
    (out / "attacks.json").write_text(json.dumps(told, indent=1) + "\n")
    return declaration


def _declare(statements: Sequence[bytes]) -> Declaration:
    """One pod behind one processor, over the time of its reports."""
    periods = [report.period for report, _ in _reports(statements)]
    period = Period(start=min(one.start for one in periods), end=max(one.end for one in periods))
    pod = Pod(id=POD, chips=(ChipGroup(model=CHIP, count=1),), networks=("10.90.0.1/32",))
    site = Site(
        id="bench",
        location="a bench on one machine",
        clusters=(Cluster(id="pods", pods=(pod,)),),
        reporters=(Reporter(id=REPORTER, kind=ReporterKind.GUARD, holder=Holder.PROVER, pods=(POD,)),),
    )
    claim = WorkloadClaim(
        id="service", kind=WorkloadKind.INFERENCE, pods=(POD,), period=period,
        description="a language model is served to clients",
    )  # fmt: skip
    return Declaration(id="bench-guarded", party=PARTY, period=period, sites=(site,), claims=(claim,))


def _anchors(
    session: Session, inspector: Inspector, prover: SigningKey, log_key: SigningKey, declaration: Declaration
) -> TrustAnchors:
    now = declaration.period.start
    return TrustAnchors(
        anchors=(
            anchor("operator", prover, Holder.PROVER, Role.DECLARATION, Role.BUNDLE, now=now),
            anchor("processor", session.statement_key, Holder.PROVER, Role.SENSOR, now=now, sensors=(REPORTER,)),
            anchor(INSPECTOR, inspector.key, Holder.VERIFIER, Role.INSPECTOR, now=now),
        ),
        ledgers=(LedgerAnchor(origin=LOG_ORIGIN, key=VerifierKey.of(log_key, name=LOG_ORIGIN, kind=KeyKind.LOG).text),),
        platforms=(PlatformAnchor(name="verifier-root", certificate=session.authority.pem.decode()),),
    )


def _agreement(session: Session, statements: Sequence[bytes], payloads: dict[str, bytes]) -> Agreement:
    """The shipped terms for guarded pods, with the baseline and the program of this site, and without what needs other sensors."""
    terms = load_agreement(AGREEMENT)
    every_s = 3 * session.ruleset.outlet.report_every_s
    clauses = []
    for clause in terms.clauses:
        match clause.parameters:
            case GuardedOperation() as found:
                changed = {
                    "baseline": session.baseline,
                    "measurements": (_build(statements, payloads),),
                    "configurations": (digest_of(session.guard.config.read_bytes()),),
                    **_below(statements, payloads),
                    "attested_every_s": every_s,
                }
            case LicensedWork() as found:
                changed = {"attested_every_s": every_s, "valid_s_max": 31 * 86_400.0}
            case GuardOutlet() as found:
                changed = {"bits_per_day_max": session.ruleset.outlet.bits_per_day_max}
            case HiddenTraining() as found:
                changed = {}
            case _:
                continue
        clauses.append(clause.model_copy(update={"parameters": found.model_copy(update=changed)}))
    return terms.model_copy(update={"clauses": tuple(clauses)})


def _build(statements: Sequence[bytes], payloads: dict[str, bytes]) -> str:
    """The program that ran, by the first report: on a real site, what both parties computed from its source."""
    _, digests = _reports(statements)[0]
    return decode(payloads[digests[CHECKPOINT_NAME]], where="first report").build


def _below(statements: Sequence[bytes], payloads: dict[str, bytes]) -> dict[str, tuple[str, ...]]:
    """The configuration and the start of the machine, by the first quote: on a real site, what both parties read beforehand."""
    _, digests = _reports(statements)[0]
    quote = QuotePayload.decode(payloads[digests[QUOTE_NAME]], where="first report")
    told = tuple(f"sha256:{one.digest.hex()}" for one in quote.log if one.name == CONFIGURATION)
    return {"configurations": told, "boots": (digest_of(b"".join(quote.platform)),)}


def _reports(statements: Sequence[bytes]) -> list[tuple[GuardReported, dict[str, str]]]:
    """Reports with the digests of their subjects by name, in order of time."""
    found = []
    for envelope in statements:
        said = Statement.model_validate(json.loads(strict_base64(json.loads(envelope)["payload"])))
        if isinstance(said.predicate, GuardReported):
            found.append((said.predicate, {subject.name: subject.digest_text for subject in said.subject}))
    return sorted(found, key=lambda one: one[0].period.end)
