"""A frame, and captures of it as an honest page would export them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from inspectorate.mechanisms.interviews.forms import Form, Frame, Question
from inspectorate.mechanisms.interviews.forms.expressions import Situation, Value, holds
from inspectorate.mechanisms.interviews.forms.types import Kind

PODS = ("A1", "A2", "B3")
START = "2026-04-07T09:00:00Z"


def frame_of(form: Form, **changes: Any) -> Frame:
    return Frame.model_validate(
        {
            "form": form.digest, "drawn": "sha256:" + 64 * "a", "entries": (3, 14, 25), "site": "North site", "pods": PODS,
            "period": {"start": "2026-03-01T00:00:00Z", "end": "2026-04-01T00:00:00Z"}, "observers": False, **changes,
        }
    )  # fmt: skip


def answer(question: Question, form: Form) -> Any:
    """The first choice, 7, or 14 March."""
    match question.kind:
        case Kind.ONE | Kind.MANY:
            names = [choice.name for choice in form.lists[question.choices]] if question.choices in form.lists else PODS
            return names[0] if question.kind is Kind.ONE else [names[0]]
        case Kind.INTEGER | Kind.DECIMAL:
            return 7
        case Kind.DATE:
            return "2026-03-14"
        case Kind.TIME:
            return "08:30"
        case Kind.TEXT:
            return "a word"


def given(
    form: Form, say: Mapping[str, Any] | None = None, turns: Mapping[str, int] | None = None
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Answers in the form's order. `say` gives other values, or a status as `{"status": ...}`, by name."""
    found: list[dict[str, Any]] = []
    seen: dict[str, Value] = {}
    asked: dict[str, int] = {}

    def one(question: Question, turn: int | None, inside: dict[str, Value], conditions: Any) -> None:
        if not all(holds(each, Situation(answers=inside, today=START[:10])) for each in conditions):
            inside[question.name] = None
            return
        value = (say or {}).get(question.name, answer(question, form))
        entry: dict[str, Any] = {"question": question.name} | ({} if turn is None else {"turn": turn})
        if isinstance(value, dict):
            found.append(entry | value)
            inside[question.name] = None
            return
        found.append(entry | {"status": "answered", "value": value} | ({"known": "saw"} if question.how_known else {}))
        inside[question.name] = (
            frozenset(value) if isinstance(value, list) else float(value) if isinstance(value, int) else value
        )

    for step in form.steps:
        if step.repeat is None:
            if isinstance(step.item, Question):
                one(step.item, None, seen, step.conditions)
        elif step.repeat.name not in asked:
            first = [each for each in form.steps if each.repeat is step.repeat]
            above = first[0].conditions[: len(first[0].conditions) - len(first[0].own)]
            if not all(holds(each, Situation(answers=seen, today=START[:10])) for each in above):
                continue
            asked[step.repeat.name] = (turns or {}).get(step.repeat.name, 1)
            for turn in range(asked[step.repeat.name]):
                inside = dict(seen)
                for each in first:
                    if isinstance(each.item, Question):
                        one(each.item, turn, inside, each.conditions)
    return found, asked


def capture_of(
    form: Form, frame: Frame, change: Callable[[dict[str, Any]], None] | None = None, **more: Any
) -> dict[str, Any]:
    answers, turns = given(form, more.pop("say", None), more.pop("times", None))
    made: dict[str, Any] = {
        "format": "inspectorate-interview-capture/v1", "salt": 64 * "5", "form": form.digest, "frame": frame.digest, "entry": 3,
        "language": "en", "started": START, "ended": "2026-04-07T10:15:00Z",
        "present": [{"capacity": "interviewer", "name": "inspector-1"}], "accommodation": False,
        "rights": [right.name for right in form.rights], "rights_at": "2026-04-07T09:05:00Z", "outcome": "heard", "turns": turns,
        "answers": answers, "acts": [], "read_back": {"at": "2026-04-07T10:10:00Z", "how": "read"}, **more,
    }  # fmt: skip
    if change is not None:
        change(made)
    return made
