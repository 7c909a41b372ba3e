"""Who could know: statements beyond what their speaker could know by their own word, and silence where a role would know.

Everybody is asked first whether they were where a thing could be known, and then what it was. Somebody who says that they were
not, and that they saw it, has said two things that do not go together; a question clears it.

Where the question bank says which strata of the roster would know, and hardly anybody of them can say, that is silence to ask
about. Honest people cannot say either with a probability that the model of memory gives; the chance of so many is the binomial
tail, times the number of topics that were looked at.
"""

from __future__ import annotations

import math
from collections import defaultdict

from inspectorate.mechanisms.interviews.consistency.explain import voice_of
from inspectorate.mechanisms.interviews.consistency.types import (
    AnswerSheet,
    CouldKnow,
    Known,
    Pointer,
    PointerKind,
    SpeakerKind,
    Statement,
    Unknown,
    Voice,
)


def beyond_own_word(sheet: AnswerSheet) -> tuple[Pointer, ...]:
    """Statements of what, by the speaker's own word, the speaker could not know."""
    could_not: dict[tuple[int | None, str], Statement] = {}
    for one in sheet.statements:
        if isinstance(one.said, CouldKnow) and not one.said.could:
            could_not[one.entry, one.topic] = one
    found = []
    for one in sheet.statements:
        if one.speaker is not SpeakerKind.INTERVIEWEE or isinstance(one.said, CouldKnow | Unknown):
            continue
        before = could_not.get((one.entry, one.topic))
        if one.known is Known.COULD_NOT_SEE:
            text = "says how it was, and that it could not be seen from where they were"
            voices: tuple[Voice, ...] = (voice_of(one),)
        elif before is not None and one.known is Known.SAW:
            text = "says that it could not be known where they were, and that they saw it"
            voices = (voice_of(before), voice_of(one))
        else:
            continue
        found.append(Pointer(kind=PointerKind.BEYOND_OWN_WORD, topics=(one.topic,), voices=voices, text=text))
    return tuple(found)


def nobody_knows(sheet: AnswerSheet, *, blank_share: float, rate: float) -> tuple[Pointer, ...]:
    """Topics of which fewer of those whose role would know can say anything than honest groups show, at `rate` over all topics."""
    stratum = {one.entry: one.stratum for one in sheet.interviewees}
    asked: dict[str, dict[int, list[Statement]]] = defaultdict(lambda: defaultdict(list))
    topics = sheet.topic_by_id
    for one in sheet.statements:
        if one.entry is not None and stratum[one.entry] in topics[one.topic].knowers and one.said.kind != "could-know":
            asked[one.topic][one.entry].append(one)
    found = []
    for topic, by_entry in sorted(asked.items()):
        blank = [said for said in by_entry.values() if all(_is_blank(one) for one in said)]
        tail = at_least(len(blank), of=len(by_entry), chance=blank_share)
        p_value = min(1.0, tail * len(asked))
        if blank and p_value <= rate:
            text = f"{len(blank)} of {len(by_entry)} people whose role would know could not say"
            voices = tuple(voice_of(said[0]) for said in blank[:20])
            found.append(
                Pointer(kind=PointerKind.NOBODY_KNOWS, topics=(topic,), voices=voices, text=text, p_value=p_value)
            )
    return tuple(found)


def at_least(count: int, *, of: int, chance: float) -> float:
    """The chance of `count` or more among `of`, each by itself with `chance`."""
    return min(1.0, math.fsum(math.comb(of, k) * chance**k * (1 - chance) ** (of - k) for k in range(count, of + 1)))


def _is_blank(one: Statement) -> bool:
    return isinstance(one.said, Unknown) or one.known is Known.COULD_NOT_SEE
