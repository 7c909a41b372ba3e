"""The report as plain text: the outline at 100 columns, with no escape sequences and no colours.

Lists are cut shorter than in the other forms, and say so. Equal reviews give equal texts.

Not done here: printing.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from inspectorate.assessment import Verdict
from inspectorate.report import words
from inspectorate.report.outline import outline
from inspectorate.report.parts import FindingRow, Outline, StrengthRow, Texts
from inspectorate.report.words import VERDICTS
from inspectorate.review import Review

WIDTH = 100
TEXT_LENGTH_MAX = 380
REASONS_MAX = 3
MISSING_MAX = 2
HELP_MAX = 4
PROBLEMS_MAX = 8
EVIDENCE_MAX = 3
LEADS_MAX = 8

_LONG_HEX = re.compile(r"\b(?:sha256:)?([0-9a-f]{12})[0-9a-f]{28,}\b")

SIMULATED = "*** SIMULATED EVIDENCE: this reviews an invented site and says nothing of any real one. ***"


def render_text(review: Review) -> str:
    """The report on a review as plain text, lines of at most 100 columns, without a newline at the end."""
    told = outline(review)
    lines = [
        *_head(told),
        *_answer(told),
        *_findings(told),
        *_details(told),
        *_help(told),
        *_problems(told),
        *_rest(told),
    ]
    return "\n".join(line.rstrip() for line in lines)


def _head(told: Outline) -> Iterator[str]:
    if told.simulated:
        yield from _wrap(SIMULATED)
        yield ""
    yield from _wrap(f"{told.agreement} ({told.agreement_id})")
    yield from _wrap(f"{told.party}, {words.plural(told.pods, 'pod')}, {words.span(told.period)}")


def _answer(told: Outline) -> Iterator[str]:
    answer = told.answer
    yield ""
    yield from _wrap(
        f"The largest training run that could have been hidden here is {words.flop(answer.run_flop)} "
        f"({answer.chip_time_words}), at {answer.confidence} confidence; {answer.against}."
    )
    rows = [(f"{t.symbol} {t.threshold}", words.flop(t.flop_max), t.words, t.ratio, t.source) for t in told.thresholds]
    yield from _table(rows, align="<><><", indent=2)
    yield from _wrap(
        f"[{answer.verdict.symbol}] {answer.verdict.word.upper()} (exit code {answer.exit_code}): {answer.verdict.meaning}."
    )


def _findings(told: Outline) -> Iterator[str]:
    yield from _heading("Findings")
    rows = [(f"{f.verdict.symbol} {f.verdict.word}", f.clause, _strength(f.strength), _who(f)) for f in told.findings]
    yield from _table([("", "clause", "log10 e / alarm", "pods"), *rows], align="<<<<", indent=0)


def _who(finding: FindingRow) -> str:
    """Who is named and when; short of an alarm, whom the verdict is about."""
    named = [f"{pods} ({when})" for pods, when in finding.named]
    more = [f"and {finding.named_left_out} more"] if finding.named_left_out else []
    return "; ".join(named + more) or finding.concerns or "–"


def _strength(strength: StrengthRow | None) -> str:
    if strength is None:
        return "–"
    told = "alarm" if strength.alarm else strength.words.partition(",")[0]
    return f"{strength.log10_e:.1f} / {strength.log10_alarm:.1f} {told}"


def _details(told: Outline) -> Iterator[str]:
    yield from _heading("Why")
    said: set[str] = set()
    for finding in told.findings:
        if finding.nobody_looked or (finding.answered and not finding.missing):
            continue
        yield from _wrap(
            f"[{finding.verdict.symbol}] {finding.clause} ({finding.source}): {finding.title}", rest="    "
        )
        yield from _detail(finding, said)
    unseen = tuple(finding.clause for finding in told.findings if finding.nobody_looked)
    if unseen:
        yield from _wrap(
            f"[{VERDICTS[Verdict.NOT_OBSERVED].symbol}] no mechanism appraises: {', '.join(unseen)}", rest="    "
        )


def _detail(finding: FindingRow, said: set[str]) -> Iterator[str]:
    """One finding. What is missing, and the evidence, are told with the first finding they concern and kept in `said`."""
    yield from _items("", finding.reasons, REASONS_MAX)
    yield from _leads(finding)
    if finding.otherwise:
        yield from _item("otherwise", finding.otherwise)
    missing = Texts(
        shown=tuple(text for text in finding.missing.shown if text not in said), left_out=finding.missing.left_out
    )
    said.update(finding.missing.shown)
    yield from _items("missing", missing, MISSING_MAX)
    ids = ", ".join(whole for _, whole in finding.evidence)
    if finding.evidence and ids not in said:
        said.add(ids)
        shown = ", ".join(short for short, _ in finding.evidence[:EVIDENCE_MAX])
        more = len(finding.evidence) - EVIDENCE_MAX + finding.evidence_left_out
        yield from _item("evidence", shown + (f" and {more} more" if more > 0 else ""))


def _leads(finding: FindingRow) -> Iterator[str]:
    """What people said, and what machines show of it."""
    for lead in finding.leads[:LEADS_MAX]:
        yield from _item("lead", f"{lead.subject}: {lead.standing}; {lead.follows}")
        yield from _items("by", Texts(shown=lead.by), REASONS_MAX)
        yield from _items("not seen", Texts(shown=lead.gaps), REASONS_MAX)
        yield from _items("assumed", Texts(shown=lead.assumptions), REASONS_MAX)
    more = max(0, len(finding.leads) - LEADS_MAX) + finding.leads_left_out
    if more:
        yield from _item("lead", f"and {more} more")


def _help(told: Outline) -> Iterator[str]:
    yield from _heading("What would help most")
    if told.help_note:
        yield from _item("", told.help_note)
    yield from _items("", Texts(shown=tuple(help_.sentence for help_ in told.help)), HELP_MAX)


def _problems(told: Outline) -> Iterator[str]:
    yield from _heading("Problems with evidence")
    if not told.problems:
        yield from _item("", "none")
    rows = [f"{p.kind}: {p.subject}" + (f" ({p.where})" if p.where else "") + f": {p.detail}" for p in told.problems]
    yield from _items("", Texts(shown=tuple(rows), left_out=told.problems_left_out), PROBLEMS_MAX)


def _rest(told: Outline) -> Iterator[str]:
    yield from _heading("Not checked, and what this rests on")
    for text in told.not_checked:
        yield from _item("not checked", text)
    if told.account_assumptions:
        yield from _item("assumed by the account", "; ".join(told.account_assumptions.shown))
    for label, value in told.rests_on:
        if label == "period":
            continue
        yield from _item(label, _LONG_HEX.sub(r"\1…", value))
    yield from _item("compute again", told.command)


def _heading(title: str) -> tuple[str, str]:
    return "", f"── {title} " + "─" * (WIDTH - len(title) - 4)


def _items(label: str, texts: Texts, shown_max: int) -> Iterator[str]:
    for text in texts.shown[:shown_max]:
        yield from _item(label, text)
    left_out = len(texts.shown) - shown_max + texts.left_out
    if left_out > 0:
        yield from _item(label, f"… and {left_out} more")


def _item(label: str, text: str) -> Iterable[str]:
    return _wrap(words.clipped(text, TEXT_LENGTH_MAX), first=f"  - {label}: " if label else "  - ", rest="    ")


def _wrap(text: str, *, first: str = "", rest: str = "") -> list[str]:
    lines = textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    return lines or [first]


def _table(rows: Sequence[tuple[str, ...]], *, align: str, indent: int) -> Iterator[str]:
    """Rows as aligned columns; the last column takes what width is left and wraps below itself."""
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(align) - 1)]
    for row in rows:
        cells = [f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=False)]
        start = " " * indent + "  ".join(cells) + "  "
        if len(start) > WIDTH - 12:
            yield from _wrap("  ".join(row), first=" " * indent, rest=" " * (indent + 4))
            continue
        yield from _wrap(row[-1], first=start, rest=" " * len(start))
