"""The page that an interviewer fills in: one file, made for one form and one frame, that runs without any network.

Rules:

- The page fetches nothing and can reach nothing: its policy forbids every connection, and names its own script and style by digest.
- It keeps what is said in memory only, and gives it out once, as a file that a person saves. It holds no key and no secret: it runs
  where the other party may have been, and a key in it would be a key lost.
- Its words are data, in the languages of the form; where a language has no words for a button, English stands there.
- What it exports is believed by nobody: `checking` holds it against form and frame again.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from inspectorate.canonical import Record
from inspectorate.errors import InputError
from inspectorate.keys import parse_yaml
from inspectorate.mechanisms.interviews.forms.capture import CAPTURE_FORMAT, Capacity, Departure, Frame, Speaker
from inspectorate.mechanisms.interviews.forms.reference import ANSWER_TEXT_MAX
from inspectorate.mechanisms.interviews.forms.types import Form, Note, Question, Repeat, Step, direction

WORDS_BYTES_MAX = 1 << 18
ALTERNATIVES = ("unknown", "could-not-know", "declined")
"""What may become of a question instead of an answer, as buttons."""
WAYS = ("saw", "was-told", "inferred")
TONGUES = {"en": "English", "zh": "中文", "fr": "Français", "ru": "Русский", "ar": "العربية", "es": "Español"}
"""Languages by their own names; another one stands there by its code."""


def render_page(form: Form, frame: Frame) -> str:
    """The page for this form and frame. Raises `InputError` where they do not belong together."""
    if frame.form != form.digest:
        raise InputError("the frame is of another form", where="frame", remedy="make the frame from this form")
    script = "\n".join(_part(name) for name in ("logic.js", "page.js", "page_end.js"))
    style = _part("page.css")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; connect-src 'none'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = form.title.get("en", next(iter(form.title.values())))
    parts = {"POLICY": html.escape(policy), "TITLE": html.escape(title), "STYLE": style, "SCRIPT": script}
    parts["DATA"] = _data(form, frame)
    return re.sub("@([A-Z]+)@", lambda found: parts[found[1]], _part("page.html"))


@cache
def page_words() -> dict[str, dict[str, str]]:
    """The words of the page, by key and language."""
    value = parse_yaml(
        (files(__package__) / "sheet" / "words.yaml").read_bytes(), where="words.yaml", bytes_max=WORDS_BYTES_MAX
    )
    assert isinstance(value, dict)
    return value


@cache
def _part(name: str) -> str:
    return (files(__package__) / "sheet" / name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _data(form: Form, frame: Frame) -> str:
    """What the script reads. `<` is written as an escape, so that no text of a form ends the element it stands in."""
    capacities = [one.value for one in Capacity if frame.observers or one is not Capacity.HOME_STATE]
    wanted = {"en", *form.languages}
    data = {
        "format": CAPTURE_FORMAT,
        "digest": form.digest,
        "frameDigest": frame.digest,
        "form": {
            "title": form.title,
            "languages": form.languages,
            "rights": [_plain(one) for one in form.rights],
            "lists": {name: [_plain(one) for one in choices] for name, choices in form.lists.items()},
            "steps": [_step(step) for step in form.steps],
            "repeats": {name: _repeat(repeat, form) for name, repeat in form.repeats.items()},
        },
        "frame": _plain(frame),
        "words": {key: {one: words[one] for one in words if one in wanted} for key, words in page_words().items()},
        "directions": {language: direction(language) for language in form.languages},
        "names": {language: TONGUES.get(language, language) for language in form.languages},
        "capacities": capacities,
        "speakers": [one.value for one in Speaker],
        "departures": [one.value for one in Departure],
        "alternatives": ALTERNATIVES,
        "ways": WAYS,
        "textMax": ANSWER_TEXT_MAX,
    }
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return written.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _plain(record: Record) -> Any:
    return record.model_dump(mode="json", exclude_none=True)


def _step(step: Step) -> dict[str, Any]:
    item: Note | Question = step.item
    above = (
        step.repeat.label
        if step.repeat is not None
        else next((one.label for one in reversed(step.groups) if one.label), None)
    )
    made: dict[str, Any] = {
        "item": item.item,
        "name": item.name,
        "label": item.label,
        "section": above,
        "repeat": step.repeat.name if step.repeat is not None else None,
        "conditions": [_plain(one) for one in step.conditions],
    }
    if isinstance(item, Question):
        made |= {
            "kind": item.kind.value,
            "hint": item.hint,
            "choices": item.choices,
            "constraint": None if item.constraint is None else _plain(item.constraint),
            "message": item.constraint_message,
            "tied": item.how_known,
        }
    return made


def _repeat(repeat: Repeat, form: Form) -> dict[str, Any]:
    first = next(step for step in form.steps if step.repeat is repeat)
    above = first.conditions[: len(first.conditions) - len(first.own)]
    return {"label": repeat.label, "max": repeat.times_max, "conditions": [_plain(one) for one in above]}
