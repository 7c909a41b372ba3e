"""A log that goes on from one bundle to the next: streams of before need not be here again, and nothing else is excused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from site_resigning import KEY, ORIGIN, Taken, review_files, sign_again, take_apart

from inspectorate.canonical import digest_of
from inspectorate.cli import cli
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import (
    Bundle,
    CustodyEvent,
    Memory,
    ProblemKind,
    RejectedEvidence,
    make_statement,
    sign_statement,
    write_bundle,
)
from inspectorate.evidence.observed import CustodyAction
from inspectorate.keys import Role, TrustAnchors
from inspectorate.ledger import Continuation, MemoryLog, continuation
from inspectorate.quantities import Period
from inspectorate.review import Review
from inspectorate.submission import ledger_entry, submit

SITE = Path(__file__).parents[2] / "examples" / "lab-site-honest"
SPAN = timedelta(minutes=5)
STREAMS = 2
"""Segments of the earlier bundle."""


@pytest.fixture(scope="module")
def taken() -> Taken:
    return take_apart(SITE)


@dataclass
class Earlier:
    """A log under which a bundle was made of the hour before, and that bundle."""

    log: MemoryLog
    files: Memory
    size: int
    envelopes: tuple[bytes, ...]


def earlier(
    taken: Taken, *, until: timedelta = timedelta(0), event: bytes | None = None, mark: str = "before"
) -> Earlier:
    """`until`: when its streams end, beside the beginning of the later period. `event`: a statement that is of no stream."""
    begins = taken.declaration.period.start
    period = Period(start=begins - 2 * SPAN, end=begins + until)
    log, (sensor, members) = MemoryLog(ORIGIN, KEY), next(iter(taken.segments.items()))
    envelopes, payload = [], taken.payloads[taken.payload_of[sensor, 0]]
    for number in range(STREAMS):
        changes = {"stream": f"{mark}-{number}", "sequence": 0, "period": period, "previous": None}
        subject = {"payload": taken.payload_of[sensor, 0]}
        envelopes.append(sign_statement(make_statement(members[0].model_copy(update=changes), subject), KEY))
    envelopes += [event] if event else []
    log.append([ledger_entry(one) for one in envelopes])
    contents = submit(
        envelopes=envelopes, payloads={taken.payload_of[sensor, 0]: payload},
        declaration=taken.declaration.model_copy(update={"period": Period(start=begins - 2 * SPAN, end=begins)}),
        declaration_key=KEY, log=log, bundle_key=KEY, created_at=begins, origin=members[0].origin,
    )  # fmt: skip
    return Earlier(log=log, files=Memory(contents), size=log.size, envelopes=tuple(envelopes))


def opened(before: Earlier, anchors: TrustAnchors) -> tuple[Bundle]:
    return (Bundle.check(before.files, anchors=anchors),)


def withheld(found: Review) -> list[str]:
    return [one.detail for one in found.problems if one.kind is ProblemKind.WITHHELD]


def test_streams_and_declarations_of_before_need_not_be_here_again(taken: Taken) -> None:
    before = earlier(taken)
    files, anchors = sign_again(taken, log=before.log, since=(before.size,))
    alone = review_files(files, anchors)
    after = review_files(files, anchors, earlier=opened(before, anchors))
    assert withheld(alone)[0].startswith(f"{STREAMS + 1} of ")
    assert alone.exit_code != 0
    assert withheld(after) == []
    assert after.ledger is not None
    assert after.ledger.elsewhere == STREAMS + 1
    assert any("earlier bundles" in one for one in after.not_checked)


def test_what_reaches_into_the_period_and_what_came_since_is_asked_for(taken: Taken) -> None:
    before = earlier(taken, until=timedelta(seconds=1))
    before.log.append([b"a statement that nobody shows".ljust(32)])
    files, anchors = sign_again(taken, log=before.log, since=(before.size,))
    (said,) = withheld(review_files(files, anchors, earlier=opened(before, anchors)))
    assert said.startswith(f"{STREAMS + 1} of ")
    assert said.endswith(f"the first at 0, 1, {before.size}")


def test_what_is_of_no_stream_is_asked_for_again_though_an_earlier_bundle_holds_it(taken: Taken) -> None:
    """Who held a sensor matters later, too: else a bad word could be left behind in an old bundle."""
    sensor, members = next(iter(taken.segments.items()))
    opened_up = CustodyEvent(
        origin=members[0].origin, action=CustodyAction.OPENED, sensor=sensor, by="ada", at=taken.declaration.period.start - SPAN
    )  # fmt: skip
    event = sign_statement(make_statement(opened_up, {"event": digest_of(b"event")}), KEY)
    before = earlier(taken, event=event)
    files, given = sign_again(taken, log=before.log, since=(before.size,))
    (tester,) = given.anchors
    trusted = tester.model_copy(update={"roles": (*tester.roles, Role.CUSTODY)})
    anchors = given.model_copy(update={"anchors": (trusted,)})
    (detail,) = withheld(review_files(files, anchors, earlier=opened(before, anchors)))
    assert detail.startswith("1 of ")
    assert detail.endswith(f"the first at {STREAMS}")


def test_a_log_that_does_not_continue_the_earlier_one_gives_no_verdict(taken: Taken) -> None:
    before, other = earlier(taken), earlier(taken, mark="other")
    files, anchors = sign_again(taken, log=before.log, since=(before.size,))
    with pytest.raises(RejectedEvidence, match="does not continue") as forked:
        review_files(files, anchors, earlier=opened(other, anchors))
    assert forked.value.kind is ProblemKind.FORKED
    unproved, _ = sign_again(taken, log=earlier(taken).log)
    with pytest.raises(RejectedEvidence, match="no proof that its log continues") as missing:
        review_files(unproved, anchors, earlier=opened(before, anchors))
    assert missing.value.kind is ProblemKind.MISSING
    later = (Bundle.check(files, anchors=anchors),)
    with pytest.raises(RejectedEvidence, match="no proof"):
        review_files(before_alone(taken), anchors, earlier=later)


def before_alone(taken: Taken) -> Memory:
    """A shorter log under the same name."""
    return sign_again(taken)[0]


def test_proofs_that_are_damaged_are_refused(taken: Taken) -> None:
    log = earlier(taken).log
    data = continuation(log, 2, log.size)
    assert bytes(Continuation.parse(data, where="test")) == data
    for bad in (b"", b"old\n", b"old 3", b"old 03\n", data + b"?\n", b"new" + data[3:], data * 200):
        with pytest.raises(EvidenceError):
            Continuation.parse(bad, where="test")
    for old, size in ((0, 3), (4, 3)):
        with pytest.raises(InputError, match="cannot continue"):
            continuation(log, old, size)


@pytest.mark.parametrize("end", ["", ".tar"])
def test_written_bundles_are_reviewed_one_after_the_other(taken: Taken, tmp_path: Path, end: str) -> None:
    before = earlier(taken)
    files, anchors = sign_again(taken, log=before.log, since=(before.size,))
    for name, one in (("may", before.files), ("june", files)):
        write_bundle({entry: one.open(entry).read() for entry in one.sizes()}, tmp_path / f"{name}{end}")
    (tmp_path / "anchors.yaml").write_text(json.dumps(anchors.model_dump(mode="json", exclude_none=True)))
    words = [str(tmp_path / f"june{end}"), "--agreement", "inference-only", "--anchors", str(tmp_path / "anchors.yaml")]
    words += ["--as-of", "2026-11-25T00:00:00Z", "--interval", "60", "--json"]
    alone = json.loads(CliRunner().invoke(cli, ["review", *words]).output)
    assert [one["kind"] for one in alone["problems"]] == ["withheld"]
    after = json.loads(CliRunner().invoke(cli, ["review", *words, "--after", str(tmp_path / f"may{end}")]).output)
    assert after["problems"] == []
    assert after["ledger"]["elsewhere"] == STREAMS + 1
    words.remove("--json")
    told = CliRunner().invoke(cli, ["review", *words, "--after", str(tmp_path / f"may{end}")]).output
    assert "--after EARLIER" in " ".join(told.split())
    assert f"{STREAMS + 1} lie in earlier bundles" in " ".join(told.split())
