"""The board of an office: what it answered to sources, gathered from its cases. Made anew on a schedule, answers or not.

Room goes round: the newest answer of every case, then the one before it, and so on, at most as many to one source as a source
reads. So no long exchange keeps an answer to somebody else off the board. What finds no room is named, by case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.cases.state import CaseState
from inspectorate.mechanisms.whistleblowing.intake.boards import PLACES, REPLIES_PER_SOURCE_MAX, Answer, make_board
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Mailbox


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What goes onto a board, and the cases of which something found no room."""

    answers: tuple[Answer, ...]
    left_off: tuple[str, ...]
    """Cases of which only newer answers are there."""
    unanswered: tuple[str, ...]
    """Cases of which not even the newest answer found room."""


def gather(cases: Iterable[CaseState], office: str, intake: str) -> Gathered:
    """The answers of an office to all sources of one intake that want one."""
    waiting = [
        (case, case.replies[office])
        for case in cases
        if case.reply_to is not None and case.replies.get(office) and case.agreed_reports[0].opened.intake == intake
    ]
    room, shown = PLACES, Counter[str]()
    for depth in range(REPLIES_PER_SOURCE_MAX):
        for case, texts in waiting:
            if depth < len(texts) and room:
                shown[case.case] += 1
                room -= 1
    answers = [
        Answer(Mailbox(key=case.thread, recipient=case.reply_to), text)
        for case, texts in waiting
        if case.reply_to is not None
        for text in texts[len(texts) - shown[case.case] :]
    ]
    return Gathered(
        answers=tuple(answers),
        left_off=tuple(case.case for case, texts in waiting if 0 < shown[case.case] < len(texts)),
        unanswered=tuple(case.case for case, _ in waiting if not shown[case.case]),
    )


def board_of(intake: str, office: str, sequence: int, gathered: Gathered, key: SigningKey) -> bytes:
    """The board in its bytes. Raises `InputError` on an answer that is too long."""
    return make_board(intake, office, sequence, gathered.answers, key)
