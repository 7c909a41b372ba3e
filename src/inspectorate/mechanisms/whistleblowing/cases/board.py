"""The board of an office: what it answered to sources, gathered from its cases. Made anew on a schedule, answers or not.

The newest answers go first, at most as many to one source as a source reads. What finds no room is named, by case.
"""

from __future__ import annotations

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


def gather(cases: Iterable[CaseState], office: str, intake: str) -> Gathered:
    """The answers of an office to all sources of one intake that want one."""
    answers: list[Answer] = []
    left_off: list[str] = []
    for case in cases:
        texts = case.replies.get(office, ())
        if case.reply_to is None or not texts or case.reports[0].opened.intake != intake:
            continue
        mailbox = Mailbox(key=case.thread, recipient=case.reply_to)
        newest = texts[-REPLIES_PER_SOURCE_MAX:]
        if len(answers) + len(newest) > PLACES:
            left_off.append(case.case)
            continue
        answers += [Answer(mailbox, text) for text in newest]
        if len(newest) < len(texts):
            left_off.append(case.case)
    return Gathered(answers=tuple(answers), left_off=tuple(left_off))


def board_of(intake: str, office: str, sequence: int, gathered: Gathered, key: SigningKey) -> bytes:
    """The board in its bytes. Raises `InputError` on an answer that is too long."""
    return make_board(intake, office, sequence, gathered.answers, key)
