"""The page "what would most reduce doubt" of a report: a plan of inspections with the powers and costs that are shipped."""

from __future__ import annotations

from markupsafe import Markup

from inspectorate.canonical import digest_of
from inspectorate.errors import InputError
from inspectorate.planning.inspections import Means, Methods, Reviewed, Terms, quick_plan, whereabouts
from inspectorate.report.doubt_page import render_doubt
from inspectorate.review import Review

QUOTA = 20
"""Challenge inspections of a party in a year (arXiv 2511.10783, Art. X para. 3)."""
DAYS = 40.0
"""Assumed: two inspectors for four weeks."""
PROBABILITY = 0.9


def reviewed_of(review: Review) -> Reviewed:
    """What a plan reads of a review."""
    return Reviewed(
        digest=digest_of(review.canonical_bytes()), party=review.party, period=review.period, simulated=review.simulated,
        account=review.account, findings=review.findings,
    )  # fmt: skip


def doubt_of(review: Review, days: float) -> Markup | None:
    """The part of the report; none where no day is to be spent, or nothing is open."""
    if not days or review.account.hidden_flop_max == 0:
        return None
    reviewed = reviewed_of(review)
    methods = Methods.read(None)
    terms = Terms(
        days=days, visits_left=QUOTA, probability=PROBABILITY, methods=digest_of(methods.canonical_bytes())
    )  # fmt: skip
    pods = tuple(share.pod for share in review.account.pods)
    try:
        return render_doubt(quick_plan(reviewed, Means(terms=terms, methods=methods, at=whereabouts(pods, None, None))))
    except InputError as fault:
        return Markup("<section><h2>What would most reduce doubt</h2><p>No plan: {}</p></section>").format(str(fault))
