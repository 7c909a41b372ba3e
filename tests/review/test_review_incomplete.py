"""What the evidence lacks never ends in success: a verdict over the problems of a bundle, each kind by itself, and one for real."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inspectorate.agreement import load_agreement
from inspectorate.evidence import (
    INCOMPLETE,
    INVALIDATING,
    Bundle,
    Memory,
    Origin,
    PacketsDrawn,
    Problem,
    ProblemKind,
    bundle_contents,
    read_statements,
)
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.review import Review, review

SITE = Path(__file__).parents[2] / "examples" / "lab-site-inspected"
KEY = SigningKey(bytes(range(32)))
YEARS = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC))


def review_without(leave_out: frozenset[str]) -> Review:
    """The site as a prover hands it over who leaves out statements with their proofs, and signs the rest."""
    anchors = TrustAnchors.read(SITE / "anchors.yaml")
    bundle = Bundle.open(SITE / "site.tar", anchors=anchors)
    kept = {digest: data for digest, data in bundle.statements() if digest not in leave_out}
    named = [name.removeprefix("payloads/") for name in bundle.entries if name.startswith("payloads/")]
    proofs = {digest: bundle.proof(digest) for digest in kept}
    contents = bundle_contents(
        envelopes=list(kept.values()),
        payloads={f"sha256:{digits}": bundle.payload(f"sha256:{digits}") for digits in named},
        proofs={digest: proof for digest, proof in proofs.items() if proof is not None},
        key=KEY,
        created_at=datetime(2026, 11, 26, 12, tzinfo=UTC),
        origin=Origin.RECORDED,
    )
    packer = TrustAnchor(
        name="packer",
        public_key=base64.b64encode(KEY.public.raw).decode(),
        holder=Holder.PROVER,
        roles=(Role.BUNDLE,),
        valid_from=YEARS[0],
        valid_until=YEARS[1],
    )
    trusting = anchors.model_copy(update={"anchors": (*anchors.anchors, packer)})
    return review(
        Bundle.check(Memory(contents), anchors=trusting),
        agreement=load_agreement(str(SITE / "agreement.yaml")),
        anchors=trusting,
        as_of=datetime(2026, 11, 26, 12, tzinfo=UTC),
        interval_s=60.0,
    )


@pytest.fixture(scope="module")
def whole() -> Review:
    return review_without(frozenset())


def test_a_statement_that_was_withheld_is_never_fine(whole: Review) -> None:
    anchors = TrustAnchors.read(SITE / "anchors.yaml")
    statements, _ = read_statements(Bundle.open(SITE / "site.tar", anchors=anchors), anchors=anchors)
    drawn = [one.digest for one in statements if isinstance(one.predicate, PacketsDrawn)]
    assert (whole.exit_code, whole.problems) == (0, ())
    found = [review_without(frozenset([digest])) for digest in drawn[:2]]
    assert all(one.problems[0].kind is ProblemKind.WITHHELD for one in found)
    assert all(one.exit_code == 10 for one in found)


@pytest.mark.parametrize("kind", ProblemKind)
def test_what_a_problem_leaves_of_a_verdict(whole: Review, kind: ProblemKind) -> None:
    problem = Problem(kind=kind, subject="a statement", detail="something is wrong with it")
    expected = 30 if kind in INVALIDATING else 10 if kind in INCOMPLETE else 0
    assert whole.model_copy(update={"problems": (problem,)}).exit_code == expected


def test_every_kind_of_problem_counts_but_what_takes_nothing_away() -> None:
    assert not INCOMPLETE & INVALIDATING
    assert set(ProblemKind) - INCOMPLETE - INVALIDATING == {ProblemKind.DUPLICATED, ProblemKind.OUT_OF_PERIOD}
