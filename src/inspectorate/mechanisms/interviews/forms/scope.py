"""Whether a form stays within what was agreed to be asked: a closed list of checks, each of which can only find something.

    rights          a point of the rights is missing, or stands in another order
    language        a language of the shipped six is missing
    untied          a question is not in the bank
    reworded        it is worded otherwise in English than in the bank
    other-kind      its answer is of another kind than in the bank, or of other choices than the bank reads
    no-place        it is about one pod, and no question before it in its turn names the pod
    off-clause      none of the clauses it serves is in the agreement
    out-of-scope    a word of a subject that is out of bounds stands in it
    leading         it is worded so that one answer is expected
    open            it takes written words, which may hold anything

That a form passes says that nothing of this list was found. Whether a question leads, or asks for a secret in other words, a person
reads: the lists of words are short, and are there to find slips.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from inspectorate.agreement import ClauseKind
from inspectorate.mechanisms.interviews.forms.bank import Bank, BankQuestion, CouldKnow, Place, Quantity, Subject, YesNo
from inspectorate.mechanisms.interviews.forms.reference import LANGUAGES, RIGHTS
from inspectorate.mechanisms.interviews.forms.types import Form, Kind, Question, Step

_UNSPACED = frozenset({"zh", "ar", "ja", "th"})
"""Scripts in which a word has no edge that a search could use, or begins with an article joined to it."""

LEADING: Mapping[str, tuple[str, ...]] = {
    "en": ("isn't it", "aren't you", "don't you", "didn't you", "wasn't it", "surely", "of course", "admit", "obviously",
           "why did you", "do you agree that"),
    "zh": ("难道", "是不是应该", "当然", "承认", "显然", "你为什么"),
    "fr": ("n'est-ce pas", "ne pensez-vous pas", "bien sûr", "évidemment", "avouez", "admettez", "pourquoi avez-vous"),
    "ru": ("не правда ли", "разве", "конечно", "признайте", "очевидно", "почему вы"),
    "ar": ("أليس كذلك", "ألا تعتقد", "بالطبع", "طبعًا", "اعترف", "من الواضح", "لماذا قمت"),
    "es": ("verdad que", "¿no cree", "por supuesto", "claro que", "admita", "obviamente", "por qué hizo"),
}  # fmt: skip
"""Turns of phrase that expect an answer or accuse: tag questions, negative questions, admissions, "why did you"."""


class Finding(StrEnum):
    """What a check may find."""

    RIGHTS = "rights"
    LANGUAGE = "language"
    UNTIED = "untied"
    REWORDED = "reworded"
    OTHER_KIND = "other-kind"
    NO_PLACE = "no-place"
    OFF_CLAUSE = "off-clause"
    OUT_OF_SCOPE = "out-of-scope"
    LEADING = "leading"
    OPEN = "open"


@dataclass(frozen=True, kw_only=True)
class Found:
    """One finding, and where."""

    finding: Finding
    place: str
    text: str


def check_scope(form: Form, bank: Bank, clauses: frozenset[ClauseKind] | None = None) -> tuple[Found, ...]:
    """Everything that the checks find. `clauses` are those of the agreement; none: not held against one."""
    found = [*_rights(form), *_languages(form)]
    subjects = [(subject, _patterns(subject.words)) for subject in bank.out_of_scope]
    leading = _patterns(LEADING)
    for step in form.questions.values():
        assert isinstance(step.item, Question)
        found += _tied(form, step, bank, clauses)
        found += _worded(form, step.item, subjects, leading)
    return tuple(found)


def _rights(form: Form) -> Iterator[Found]:
    names = [right.name for right in form.rights]
    for name in RIGHTS:
        if name not in names:
            yield Found(finding=Finding.RIGHTS, place=name, text="the interviewee is not told")
    if (kept := [name for name in names if name in RIGHTS]) != [name for name in RIGHTS if name in kept]:
        yield Found(finding=Finding.RIGHTS, place="rights", text="stand in another order than agreed")


def _languages(form: Form) -> Iterator[Found]:
    for language in LANGUAGES:
        if language not in form.languages:
            yield Found(finding=Finding.LANGUAGE, place=language, text="the form is not in this language")


def _tied(form: Form, step: Step, bank: Bank, clauses: frozenset[ClauseKind] | None) -> Iterator[Found]:
    question = step.item
    assert isinstance(question, Question)
    name = question.name
    known = bank.by_id.get(question.bank or "")
    if known is None:
        yield Found(finding=Finding.UNTIED, place=name, text=f"`{question.bank or ''}` is no question of the bank")
        return
    if "en" in question.label and question.label["en"] != known.text:
        yield Found(finding=Finding.REWORDED, place=name, text=f"agreed as: {known.text}")
    if question.kind is not known.kind or not _choices_fit(form, question, known):
        yield Found(
            finding=Finding.OTHER_KIND,
            place=name,
            text=f"the bank has it as {known.kind.value}, saying {known.says.says}",
        )
    if known.by_pod and not any(_names_place(form, one, step, bank) for one in form.steps):
        yield Found(finding=Finding.NO_PLACE, place=name, text="no question before it in its turn names the pod")
    if clauses is not None and not clauses & set(known.clauses):
        yield Found(
            finding=Finding.OFF_CLAUSE,
            place=name,
            text=f"serves {', '.join(known.clauses)}, of which the agreement has none",
        )


def _names_place(form: Form, one: Step, step: Step, bank: Bank) -> bool:
    """Whether `one` names the pod that `step` is about."""
    if not isinstance(one.item, Question) or one.repeat is not step.repeat:
        return False
    known = bank.by_id.get(one.item.bank or "")
    order = list(form.questions)
    return (
        known is not None and isinstance(known.says, Place) and order.index(one.item.name) < order.index(step.item.name)
    )


def _choices_fit(form: Form, question: Question, known: BankQuestion) -> bool:
    """Whether the bank can read every choice."""
    if isinstance(known.says, Place):
        return question.choices == "pods"
    if question.choices is None:
        return True
    names = {choice.name for choice in form.lists.get(question.choices, ())}
    match known.says:
        case YesNo(yes=yes, no=no) | CouldKnow(yes=yes, no=no):
            return names == {*yes, *no}
        case Quantity(bands=bands):
            return names == set(bands)
    return bool(names)


def _worded(
    form: Form,
    question: Question,
    subjects: list[tuple[Subject, dict[str, re.Pattern[str]]]],
    leading: dict[str, re.Pattern[str]],
) -> Iterator[Found]:
    if question.kind is Kind.TEXT:
        yield Found(
            finding=Finding.OPEN, place=question.name, text="takes written words; prefer a closed list or a number"
        )
    labels = [question.label, *([question.hint] if question.hint else [])]
    labels += [choice.label for choice in form.lists.get(question.choices or "", ())]
    for language in form.languages:
        words = "\n".join(label[language] for label in labels)
        for subject, patterns in subjects:
            if language in patterns and (hit := patterns[language].search(words)):
                text = f"{hit.group()!r} ({language}): {subject.about}"
                yield Found(finding=Finding.OUT_OF_SCOPE, place=question.name, text=text)
        if language in leading and (hit := leading[language].search(question.label[language])):
            yield Found(finding=Finding.LEADING, place=question.name, text=f"{hit.group()!r} ({language})")


def _patterns(words: Mapping[str, tuple[str, ...]]) -> dict[str, re.Pattern[str]]:
    """By language, a search for any of the words, from the edge of a word on where there are such."""
    return {
        language: re.compile(
            ("" if language in _UNSPACED else r"(?<!\w)") + f"(?:{'|'.join(map(re.escape, some))})", re.IGNORECASE
        )
        for language, some in words.items()
    }
