"""XLSForm in: read in a process apart, validated by pyxform, and turned into our own record by a closed list of what is understood.

What is taken over: `text`, `integer`, `decimal`, `date`, `time`, `select_one`, `select_multiple`, `select_one_from_file pods.csv`,
`note`, `acknowledge` (in the group `rights` only), groups, repeats with a count; labels, hints, constraint messages in several
languages; `relevant` and `constraint` as `expressions` has them; the columns `bank` and `how_known`.

What is refused by name: every other type, column, setting and function. What would lead or press is refused with its reason: a
default answer, a calculation, answers that stand already. `required` is dropped and said so: anybody may refuse any question.

Where this differs from ODK: `repeat_count` is a bound here, not a number of times; choices of `pods.csv` come from the frame of the
interview.
"""

from __future__ import annotations

import mimetypes
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from inspectorate.apart import Enclosure, run_apart
from inspectorate.canonical import parse_json
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.interviews.forms.reading import read_expression
from inspectorate.mechanisms.interviews.forms.reference import EXTERNAL_LISTS, GROUPS_DEPTH_MAX, LANGUAGE
from inspectorate.mechanisms.interviews.forms.types import FORMAT, Form, Kind
from inspectorate.mechanisms.interviews.forms.workbook import WORKBOOK_BYTES_MAX

MODULE = f"{__package__}.xlsform_apart"
SUFFIXES = (".xlsx", ".md", ".csv")
ENCLOSURE = Enclosure(
    seconds=30.0, memory_bytes=2 << 30, output_bytes=8 << 20, file_bytes=1 << 20, readable=tuple(mimetypes.knownfiles)
)
"""A library of pyxform reads the types of media that the machine knows as it is loaded."""
ITEMS_MAX = 2000

_TYPES = {
    "text": Kind.TEXT,
    "string": Kind.TEXT,
    "integer": Kind.INTEGER,
    "int": Kind.INTEGER,
    "decimal": Kind.DECIMAL,
    "date": Kind.DATE,
    "time": Kind.TIME,
    "select one": Kind.ONE,
    "select_one": Kind.ONE,
    "select all that apply": Kind.MANY,
    "select_multiple": Kind.MANY,
}
_BIND = {"relevant", "constraint", "jr:constraintMsg", "required", "jr:requiredMsg"}
_KEYS = {
    "type",
    "name",
    "label",
    "hint",
    "bind",
    "parameters",
    "itemset",
    "list_name",
    "choices",
    "bank",
    "how_known",
    "children",
    "control",
}
_WHY = {
    "default": "an answer that stands already leads",
    "calculate": "an interview asks, and computes nothing",
    "readonly": "a question that nobody can answer is a note",
    "choice_filter": "choices must be the same for everybody",
    "media": "a form has words only",
    "trigger": "an interview computes nothing",
}
_UNSET = "default"
"""What pyxform calls the language of a text without one."""
_LANGUAGE = re.compile(r"\(([A-Za-z0-9-]+)\)\s*$")


@dataclass(frozen=True, kw_only=True)
class Read:
    """A form as read, and what was not taken over."""

    form: Form
    notices: tuple[str, ...]


def read_xlsform(data: bytes, name: str) -> Read:
    """Read an XLSForm in a process apart. Raises `InputError`, and `EnvironmentError_` without pyxform."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{suffix or name!r} is no XLSForm", where=name, remedy=f"one of {', '.join(SUFFIXES)}")
    if len(data) > WORKBOOK_BYTES_MAX:
        raise InputError(f"a form of {len(data)} bytes exceeds {WORKBOOK_BYTES_MAX}", where=name)
    with tempfile.TemporaryDirectory() as own:  # pyxform writes the form that it makes into a file before it gives it
        enclosure = ENCLOSURE.model_copy(update={"writable": (own,)})
        said = run_apart(MODULE, suffix.encode() + b"\n" + data, enclosure, environment={"TMPDIR": own})
    if "ModuleNotFoundError" in said.complaint or "No module named 'pyxform" in said.complaint:
        raise EnvironmentError_(
            "needs pyxform, which is not installed", where=name, remedy="install inspectorate[interviews]"
        )
    if said.returned != 0 or len(said.lines) != 1:
        raise InputError(
            f"cannot be read within limits: {said.ended}", where=name, remedy="make the form smaller and plainer"
        )
    try:
        answer = parse_json(said.lines[0], where=name)
    except EvidenceError as fault:
        raise InputError(fault.problem, where=name) from None
    return from_answer(answer, name)


def from_answer(answer: Any, name: str) -> Read:
    """A form from what the process apart said. Raises `InputError`."""
    if not isinstance(answer, dict) or not isinstance(answer.get("form"), dict):
        words = answer.get("refused") if isinstance(answer, dict) else None
        raise InputError(str(words or "was not read")[:1000], where=name)
    return _Converter(name).form(answer["form"])


class _Converter:
    """pyxform's data -> our record. Every fault names the element."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._notices: list[str] = []
        self._lists: dict[str, list[dict[str, Any]]] = {}
        self._default: str | None = None
        self._items = 0

    def form(self, data: Mapping[str, Any]) -> Read:
        default = str(data.get("default_language") or _UNSET)
        self._default = None if default == _UNSET else self._language(default, "settings")
        children = data.get("children")
        if not isinstance(children, list):
            raise self._fault("has no questions", "survey")
        counts = self._counts(children)
        kept = [one for one in children if not (_is(one, "group") and one.get("name") == "meta")]
        kept = [one for one in kept if not (_is(one, "calculate") and one.get("name") in counts)]
        rights = kept[0] if kept and _is(kept[0], "group") and kept[0].get("name") == "rights" else None
        if rights is None:
            raise self._fault("the first thing in a form must be the group `rights`", "survey")
        made: dict[str, Any] = {
            "format": FORMAT,
            "id": str(data.get("id_string") or ""),
            "version": str(data.get("version") or ""),
            "rights": [self._right(one) for one in _children(rights)],
            "items": [self._item(one, counts, 1) for one in kept[1:]],
            "lists": self._lists,
        }
        languages = list(made["rights"][0]["label"]) if made["rights"] else []
        made["title"] = self._title(data.get("title"), languages)
        form = Form.parse({**made, "languages": languages}, where=self._where, error=InputError)
        return Read(form=form, notices=tuple(dict.fromkeys(self._notices)))

    def _fault(self, problem: str, place: str) -> InputError:
        return InputError(problem, where=f"{self._where}: {place}"[:300])

    def _counts(self, children: list[Any]) -> dict[str, int]:
        """The bound of each repeat, which pyxform keeps as a calculation beside it."""
        found: dict[str, int] = {}
        for one in _walk(children, 0):
            if _is(one, "calculate") and str(one.get("name")).endswith("_count"):
                text = str((one.get("bind") or {}).get("calculate"))
                if re.fullmatch(r"[1-9][0-9]{0,3}", text):
                    found[str(one["name"])] = int(text)
        return found

    def _title(self, title: Any, languages: list[str]) -> dict[str, str]:
        """One title for all languages, or one for each: `en: Interview; fr: Entretien`."""
        parts = [part.partition(":") for part in str(title or "").split(";")]
        if parts and all(sign and LANGUAGE.match(code.strip()) for code, sign, _ in parts):
            return {code.strip(): words.strip() for code, _, words in parts}
        return {language: str(title or "") for language in languages}

    def _language(self, written: str, place: str) -> str:
        found = _LANGUAGE.search(written)
        code = found[1] if found else written.strip()
        if not LANGUAGE.match(code):
            raise self._fault(f"{written[:60]!r} names no language: write English (en)", place)
        return code

    def _label(self, value: Any, place: str) -> dict[str, str] | None:
        if value is None:
            return None
        if isinstance(value, str) and self._default is not None:
            value = {self._default: value}
        if isinstance(value, str) or (isinstance(value, dict) and _UNSET in value):
            raise self._fault(
                "has a text in no language: write `label::English (en)`, or set `default_language`", place
            )
        if not isinstance(value, dict):
            raise self._fault("has a label that is no text", place)
        label = {self._language(str(code), place): str(words) for code, words in value.items()}
        for words in label.values():
            if "${" in words:
                raise self._fault("puts an answer into a text, which shows it to whoever stands by", place)
        return label

    def _right(self, data: Mapping[str, Any]) -> dict[str, Any]:
        name = str(data.get("name"))
        if not (_is(data, "acknowledge") or _is(data, "trigger")):
            raise self._fault("the group `rights` holds points of the type `acknowledge` only", name)
        self._closed(data, name)
        return {"name": name, "label": self._label(data.get("label"), name) or {}}

    def _item(self, data: Mapping[str, Any], counts: Mapping[str, int], deep: int) -> dict[str, Any]:
        self._items += 1
        kind, name = str(data.get("type")), str(data.get("name"))
        if deep > GROUPS_DEPTH_MAX + 1 or self._items > ITEMS_MAX:
            raise self._fault("groups nest too deeply, or there are too many items", name)
        self._closed(data, name)
        made: dict[str, Any] = {"name": name} | self._relevant(data, name)
        label = self._label(data.get("label"), name)
        if label is not None:
            made["label"] = label
        if kind == "group":
            return made | {"item": "group", "items": self._children_of(data, counts, deep)}
        if kind == "repeat":
            return made | {
                "item": "repeat",
                "items": self._children_of(data, counts, deep),
                "times_max": self._bound(data, counts, name),
            }
        if kind == "note":
            return made | {"item": "note"}
        if kind in {"acknowledge", "trigger"}:
            raise self._fault("what is acknowledged stands in the group `rights`", name)
        if kind not in _TYPES:
            raise self._fault(f"a question of the type `{kind[:60]}` is not supported", name)
        return made | self._question(data, _TYPES[kind], name)

    def _children_of(self, data: Mapping[str, Any], counts: Mapping[str, int], deep: int) -> list[dict[str, Any]]:
        inner = [one for one in _children(data) if not (_is(one, "calculate") and one.get("name") in counts)]
        return [self._item(one, counts, deep + 1) for one in inner]

    def _bound(self, data: Mapping[str, Any], counts: Mapping[str, int], name: str) -> int:
        control = str((data.get("control") or {}).get("jr:count"))
        found = re.fullmatch(r"\$\{(\w+)\}", control)
        if found is None or found[1] not in counts:
            raise self._fault("a repeat needs a number in `repeat_count`: its bound", name)
        return counts[found[1]]

    def _question(self, data: Mapping[str, Any], kind: Kind, name: str) -> dict[str, Any]:
        bind = data.get("bind") or {}
        made: dict[str, Any] = {
            "item": "question",
            "kind": kind,
            "bank": data.get("bank"),
            "how_known": self._yes(data, name),
        }
        made["hint"] = self._label(data.get("hint"), f"{name}.hint")
        if "constraint" in bind:
            made["constraint"] = self._expression(bind["constraint"], f"{name}.constraint")
        made["constraint_message"] = self._label(bind.get("jr:constraintMsg"), f"{name}.constraint_message")
        if "required" in bind:
            self._notices.append("`required` is not taken over: anybody may refuse any question")
        if kind in {Kind.ONE, Kind.MANY}:
            made["choices"] = self._choices(data, name)
        return {key: value for key, value in made.items() if value is not None}

    def _yes(self, data: Mapping[str, Any], name: str) -> bool:
        written = str(data.get("how_known", "no")).strip().lower()
        if written not in {"yes", "no"}:
            raise self._fault("`how_known` is yes or no", name)
        return written == "yes"

    def _choices(self, data: Mapping[str, Any], name: str) -> str:
        itemset = str(data.get("itemset"))
        given = data.get("choices")
        if given is None and itemset.removesuffix(".csv") in EXTERNAL_LISTS and itemset.endswith(".csv"):
            return itemset.removesuffix(".csv")
        if not isinstance(given, list):
            raise self._fault(f"choices of `{itemset[:60]}` are not in the form", name)
        choices = []
        for one in given:
            if not isinstance(one, dict) or set(one) - {"name", "label"}:
                raise self._fault("a choice has more than a name and labels", name)
            label = self._label(one.get("label"), f"{name}.{one.get('name')}") or {}
            choices.append({"name": str(one.get("name")), "label": label})
        if self._lists.setdefault(itemset, choices) != choices:
            raise self._fault(f"two lists are called `{itemset[:60]}`", name)
        return itemset

    def _relevant(self, data: Mapping[str, Any], name: str) -> dict[str, Any]:
        bind = data.get("bind") or {}
        return {"relevant": self._expression(bind["relevant"], f"{name}.relevant")} if "relevant" in bind else {}

    def _expression(self, text: Any, place: str) -> dict[str, Any]:
        return read_expression(str(text), where=f"{self._where}: {place}"[:300]).model_dump(mode="json")

    def _closed(self, data: Mapping[str, Any], name: str) -> None:
        """Refuse whatever is not understood, by its name."""
        bind, control = data.get("bind") or {}, data.get("control") or {}
        if not isinstance(bind, dict) or not isinstance(control, dict):
            raise self._fault("is malformed", name)
        strange = (set(data) - _KEYS) | (set(bind) - _BIND) | (set(control) - {"jr:count", "appearance"})
        if data.get("parameters"):
            strange |= set(data["parameters"]) if isinstance(data["parameters"], dict) else {"parameters"}
        if "appearance" in control:
            self._notices.append("`appearance` is not taken over: every question stands on a page of its own")
        for one in sorted(str(key) for key in strange):
            raise self._fault(f"`{one[:60]}` is not supported" + (f": {_WHY[one]}" if one in _WHY else ""), name)


def _is(data: Any, kind: str) -> bool:
    return isinstance(data, dict) and data.get("type") == kind


def _children(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in data.get("children") or [] if isinstance(one, dict)]


def _walk(children: list[Any], deep: int) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for one in children:
        if isinstance(one, dict):
            found.append(one)
            if deep <= GROUPS_DEPTH_MAX + 1:
                found += _walk(_children(one), deep + 1)
    return found
