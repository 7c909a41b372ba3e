"""A signature is read back only if all of it fits: the hostile cases are signed by the right key, and still refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from enrol_making import (
    ANCHORS,
    APPROVER,
    INSPECTOR,
    PAUSE_S,
    STRANGER,
    at,
    closed,
    opened,
    opening,
    record_all,
    rows,
    run_period,
)

from inspectorate.canonical import canonical_bytes, digest_of, parse_json
from inspectorate.errors import EvidenceError
from inspectorate.evidence import (
    EnrolmentOpened,
    Origin,
    RejectedEvidence,
    VerifiedStatement,
    WorkloadEnrolled,
    make_statement,
    sign_statement,
    verify_envelope,
)
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.workloads.enrol.load import LoadedSignature, read_signature
from inspectorate.mechanisms.workloads.enrol.session import Session, read_session
from inspectorate.mechanisms.workloads.telemetry.table import read_table, write_table

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("closed")
    opened(folder / "session")
    record_all(folder / "session", folder)
    closed(folder / "session")
    return read_session(folder / "session", anchors=ANCHORS)


def read(
    session: Session,
    *,
    record: Change | None = None,
    predicate: Change | None = None,
    table: Callable[[bytes], bytes] | None = None,
    openings: list[VerifiedStatement] | None = None,
    key: SigningKey = INSPECTOR,
) -> LoadedSignature:
    """Read the session's signature, after its record, its statement or its table was changed and signed again."""
    assert session.closing is not None
    subjects = {one.name: one.digest_text for one in session.closing.statement.subject}
    data = session.payload(subjects["reference"])
    data = table(data) if table else data
    value = parse_json(session.payload(subjects["signature"]), where="record")
    value["reference"] = digest_of(data)
    if record:
        record(value)
    said = session.closing.predicate.model_dump(mode="json", exclude_none=True)
    if predicate:
        predicate(said)
    signature = canonical_bytes(value)
    envelope = sign_statement(
        make_statement(
            WorkloadEnrolled.model_validate(said), {"signature": digest_of(signature), "reference": digest_of(data)}
        ),
        key,
    )
    own = {digest_of(signature): signature, digest_of(data): data}
    return read_signature(
        verify_envelope(envelope, anchors=ANCHORS, where="closing"),
        lambda digest: own[digest] if digest in own else session.payload(digest),
        [session.opening] if openings is None else openings,
    )


def test_what_was_not_changed_is_read(session: Session) -> None:
    found = read(session)
    assert found.workload == "chat"
    assert found.by == "ines"
    assert found.evidence_ids[0] == session.opening.digest
    assert list(found.runs) == [run.id for run in found.record.runs]


def put(*path: Any, value: Any) -> Change:
    def change(found: dict[str, Any]) -> None:
        for key in path[:-1]:
            found = found[key]
        found[path[-1]] = value

    return change


def time(seconds: float) -> str:
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


RECORDS: dict[str, tuple[Change, str]] = {
    "other code": (put("manifest", "code", value=digest_of(b"other")), "does not agree with its statement in code"),
    "another session": (put("manifest", "session", value="chat-2"), "session"),
    "another pod": (put("manifest", "pods", value=["pod-b"]), "pods"),
    "a longer life": (put("valid_until", value=time(400 * 86_400)), "validity"),
    "an earlier end": (put("enrolled_at", value=time(7000)), "end of the session"),
    "other software": (put("manifest", "software", value=["server 0.9.2"]), "manifest is not the one"),
    "a wider range": (put("manifest", "operating_range", 0, "most", value=2.0), "manifest is not the one"),
    "another meter": (put("meter", value="other"), "plan of its session in meter"),
    "a longer window": (put("window_s", value=20.0), "plan of its session in window"),
    "fewer units": (put("units", value=["pod-a/0"]), "plan of its session in units"),
    "fewer signals": (put("signals", value=["power_w"]), "plan of its session in signals"),
    "a run before the session": (
        put("runs", 0, "period", value={"start": time(-100), "end": time(20)}),
        "run run-01 lies outside of its session",
    ),
    "a run after the session": (
        put("runs", 5, "period", value={"start": time(7100), "end": time(7300)}),
        "run run-06 lies outside of its session",
    ),
    "two runs at one time": (
        put("runs", 1, "period", value=run_period(0).model_dump(mode="json")),
        "runs run-01 and run-02 cover one stretch|runs run-02 and run-01 cover one stretch",
    ),
    "a setting that was not allowed": (
        put("runs", 0, "settings", 0, "value", value=1.5),
        "run run-01: load=1.5 is outside",
    ),
    "a setting that is not there": (put("runs", 0, "settings", value=[]), "load is not set"),
    "a run without telemetry": (
        put("runs", 0, "period", value={"start": time(5000), "end": time(5120)}),
        "rows of its reference lie in no run|has no power_w",
    ),
    "another table": (put("reference", value=digest_of(b"x")), "does not agree with its statement in reference"),
    "a field that nobody knows": (put("threshold", value=3.0), "threshold"),
}


@pytest.mark.parametrize(("change", "said"), RECORDS.values(), ids=RECORDS)
def test_a_record_that_does_not_fit_is_refused(session: Session, change: Change, said: str) -> None:
    with pytest.raises(EvidenceError, match=said):
        read(session, record=change)


PREDICATES: dict[str, tuple[Change, str]] = {
    "another opening": (put("opened", value=digest_of(b"x")), "is not there"),
    "another session": (put("session", value="chat-2"), "session"),
    "another workload": (put("workload", value="other"), "workload"),
    "other code": (put("code", value=digest_of(b"other")), "code"),
    "an earlier beginning": (
        put("period", value={"start": time(-3600), "end": time(7200)}),
        "with another beginning of the session",
    ),
    "simulated": (put("origin", value=Origin.SIMULATED.value), "with another origin"),
}


@pytest.mark.parametrize(("change", "said"), PREDICATES.values(), ids=PREDICATES)
def test_a_statement_that_does_not_fit_is_refused(session: Session, change: Change, said: str) -> None:
    with pytest.raises(EvidenceError, match=said):
        read(session, predicate=change)


def altered(how: str) -> Callable[[bytes], bytes]:
    def alter(data: bytes) -> bytes:
        samples = read_table(data)
        of_run = samples.time_ns < int(run_period(0).end.timestamp() * 1e9)
        if how == "a run's rows left out":
            return write_table(rows(samples, ~of_run))
        if how == "a unit left out of one run":
            return write_table(rows(samples, ~(of_run & (samples.unit == 1))))
        if how == "a signal blank in one run":
            values = samples.values.copy()
            values[of_run, 1] = np.nan
            return write_table(replace(samples, values=values))
        if how == "rows between runs":
            moved = samples.time_ns.copy()
            moved[of_run] += int((120 + PAUSE_S / 2) * 1e9)
            moved[~of_run] = samples.time_ns[~of_run]
            return write_table(replace(samples, time_ns=moved))
        if how == "another unit":
            return write_table(replace(samples, units=(samples.units[0], "pod-z/0")))
        if how == "another signal":
            return write_table(replace(samples, signals=("power_w", "core_clock_hz")))
        return data[: len(data) // 2]

    return alter


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("a run's rows left out", "no power_w of pod-a/0 in run run-01"),
        ("a unit left out of one run", "no power_w of pod-a/1 in run run-01"),
        ("a signal blank in one run", "no busy_share of pod-a/0 in run run-01"),
        ("rows between runs", "rows of its reference lie in no run"),
        ("another unit", "units that the signature does not name"),
        ("another signal", "does not hold the signals"),
        ("half of the file", "cannot be read"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(session: Session, how: str, said: str) -> None:
    with pytest.raises(EvidenceError, match=said):
        read(session, table=altered(how))


def test_a_tampered_payload_is_refused_even_if_whoever_hands_it_out_did_not_look(session: Session) -> None:
    assert session.closing is not None
    for name in ("signature", "reference"):
        digest = next(one.digest_text for one in session.closing.statement.subject if one.name == name)

        def payload(asked: str, *, digest: str = digest) -> bytes:
            data = session.payload(asked)
            return data[:-1] + bytes([data[-1] ^ 1]) if asked == digest else data

        with pytest.raises(EvidenceError, match="not the one that was signed for"):
            read_signature(session.closing, payload, [session.opening])


def test_the_opening_must_be_there_once(session: Session) -> None:
    assert session.closing is not None
    with pytest.raises(EvidenceError, match="opened session chat-1 is not there"):
        read(session, openings=[])
    said = session.opened.model_dump(mode="json") | {"opened_at": time(10)}
    subjects = {one.name: one.digest_text for one in session.opening.statement.subject}
    second = verify_envelope(
        sign_statement(make_statement(EnrolmentOpened.model_validate(said), subjects), INSPECTOR),
        anchors=ANCHORS,
        where="second",
    )
    with pytest.raises(EvidenceError, match="2 sessions bear the name chat-1"):
        read(session, openings=[session.opening, second])
    with pytest.raises(EvidenceError, match="is not there"):
        read(session, openings=[second])
    # The same statement twice is one, and other statements are passed over.
    assert read(session, openings=[session.opening, session.opening, session.closing]).workload == "chat"
    with pytest.raises(EvidenceError, match="does not close an enrolment"):
        read_signature(session.opening, session.payload, [session.opening])


@pytest.mark.parametrize("key", [STRANGER, APPROVER])
def test_another_key_closes_nothing(session: Session, key: SigningKey) -> None:
    with pytest.raises(RejectedEvidence):
        read(session, key=key)


def test_a_manifest_that_was_not_signed_at_the_opening_is_refused(session: Session, tmp_path: Path) -> None:
    """An inspector's key opens twice: the closing of one session does not fit the opening of another."""
    other = opened(tmp_path / "other", manifest=opening().manifest.model_copy(update={"chips": 4}))
    with pytest.raises(EvidenceError, match=r"is not there"):
        read(session, openings=[other.opening])
    with pytest.raises(EvidenceError, match="manifest is not the one"):
        read(session, openings=[other.opening], predicate=put("opened", value=other.opening.digest))


def test_times_are_as_they_were_said(session: Session) -> None:
    found = read(session)
    assert found.record.enrolled_at == at(7200)
    assert found.record.valid_until - found.record.enrolled_at == timedelta(days=90)
