"""The static review: the corpus of disguises, honest look-alikes, reachability, blind spots, and bytes that are no source."""

from __future__ import annotations

import ast
import random
import sys

import code_corpus
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import InputError
from inspectorate.mechanisms.inspection.code.difference import difference
from inspectorate.mechanisms.inspection.code.folding import UNFOLDABLE, binary, method
from inspectorate.mechanisms.inspection.code.review import review_code
from inspectorate.mechanisms.inspection.code.rules import rules
from inspectorate.mechanisms.inspection.code.source import Source, Unparsed, parse_source
from inspectorate.mechanisms.inspection.code.techniques import catalogue, techniques_seen
from inspectorate.mechanisms.inspection.code.types import PARAMETERS_CHANGE, BlindSpot, Doubt, Kind, Reach, Review

RECALL_MIN = 0.95
SGD = "import torch\nm = torch.nn.Linear(2, 1)\no = torch.optim.SGD(m.parameters(), 0.1)\n"


@pytest.fixture(scope="module")
def score() -> code_corpus.Score:
    return code_corpus.measure()


def review(files: dict[str, str], entry: str = "main.py") -> Review:
    return review_code(code_corpus.snapshot(files), entry)


def rules_at(found: Review, line: int) -> set[str]:
    return {p.rule for p in found.pointers if p.line <= line <= p.end_line}


# --- the corpus ----------------------------------------------------------------------------------------------------------


def test_the_corpus_is_large_enough() -> None:
    training, honest = code_corpus.programs("training"), code_corpus.programs("honest")
    assert len(training) >= 80
    assert len(honest) >= 40
    assert {p.level for p in training} == {"plain", "moderate", "nasty"}
    assert all(p.planted for p in training)
    assert len({p.name for p in (*training, *honest)}) == len(training) + len(honest)


def test_planted_constructs_are_found(score: code_corpus.Score) -> None:
    assert score.recall >= RECALL_MIN, score.missed


def test_honest_look_alikes_are_left_alone(score: code_corpus.Score) -> None:
    assert score.false == []


def test_the_score_can_fail() -> None:
    """A program whose construct is taken out is not found."""
    program = code_corpus.programs("training")[0]
    blunt = code_corpus.Program(**{**program.__dict__, "files": {"main.py": "x = 1\n" * 20}})
    lost = code_corpus.Score()
    code_corpus.judge(blunt, code_corpus.pointers(blunt), lost)
    assert lost.recall == 0


def test_renamed_programs_are_found_as_well() -> None:
    """Held out: every variable of the program is renamed, by a seed; what is found must not hang on names of variables alone."""
    draw, planted, found = random.Random(7), 0, 0
    for program in code_corpus.programs("training")[::6]:
        if len(program.files) > 1:
            continue
        renamed = code_corpus.renamed(program, draw)
        lost = code_corpus.Score()
        code_corpus.judge(renamed, code_corpus.pointers(renamed), lost)
        planted, found = planted + sum(lost.planted.values()), found + sum(lost.found.values())
    assert found >= 0.85 * planted > 0


# --- reach and blind spots -----------------------------------------------------------------------------------------------


def test_reach_follows_imports_calls_and_classes() -> None:
    files = {
        "main.py": "from kit import serve\nserve()\n",
        "kit.py": "import torch\ndef serve(): return helper\ndef helper(x): x.backward()\ndef dead(x): x.backward()\n",
        "alone.py": "def f(y): y.backward()\n",
    }
    found = {(p.file, p.scope): p.reachable for p in review(files).pointers if p.rule == "gradient.backward"}
    assert found == {("kit.py", "helper"): Reach.YES, ("kit.py", "dead"): Reach.NO, ("alone.py", "f"): Reach.NO}


def test_nothing_is_certainly_unreachable_beside_text_that_runs() -> None:
    files = {"main.py": "import sys\nexec(sys.stdin.read())\n", "alone.py": "def f(y): y.backward()\n"}
    assert {p.reachable for p in review(files).pointers if p.file == "alone.py"} == {Reach.UNKNOWN}


def test_an_entry_point_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no Python file"):
        review({"main.py": "x = 1\n"}, "other.py")
    with pytest.raises(InputError, match="is not in"):
        review({"main.py": "x = 1\n"}, "main:start")


def test_what_cannot_be_seen_is_never_empty() -> None:
    found = review({"main.py": "x = 1\n"})
    assert found.pointers == ()
    assert {BlindSpot.METHOD, BlindSpot.DEPENDENCY} <= {u.reason for u in found.cannot_see}


def test_native_code_dependencies_and_dynamic_names_are_said() -> None:
    files = {
        "main.py": "import obscure\nname = input()\ngetattr(obscure, name)()\n",
        "fast.so": "\x7fELF",
        "old.py": "print 'x'\n",
    }
    found = review(files)
    said = {u.reason: u for u in found.cannot_see}
    assert said[BlindSpot.NATIVE].places == ("fast.so",)
    assert said[BlindSpot.UNPARSED].places == ("old.py",)
    assert said[BlindSpot.DYNAMIC_NAME].places == ("main.py:3",)
    assert any("obscure" in place for u in found.cannot_see for place in u.places)
    assert {"file.native", "source.unparsed"} <= {p.rule for p in found.must_answer()}


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("x.pth", "import os; os.system('x')", "file.start"),
        ("sitecustomize.py", "x = 1", "file.start"),
        ("a.yaml", "a: !!python/object/apply:os.system [x]", "file.yaml-tag"),
        ("b.json", '{"engine": "torch.optim.Adam"}', "file.text-with-code"),
        ("run.sh", "#!/bin/sh\ncurl x | sh\n", "file.script-trains"),
        ("w.pkl", "\x80\x04x", "file.pickle"),
        ("__pycache__/a.pyc", "x", "file.bytecode"),
        ("in.zip", "PK\x03\x04xx", "file.archive"),
        ("note.txt", "import torch\ndef f(x):\n    pass\n", "file.text-with-code"),
    ],
)
def test_other_files_that_run(name: str, text: str, rule: str) -> None:
    snapshot = code_corpus.snapshot_of_bytes({"main.py": b"x = 1\n", name: text.encode("latin-1")})
    assert rule in {p.rule for p in review_code(snapshot, "main.py").must_answer()}


def test_source_in_an_odd_encoding_or_with_hidden_characters_must_be_answered() -> None:
    for data in (b"# coding: utf-7\nx = 1\n", "x = 1  # \u202e\n".encode()):
        snapshot = code_corpus.snapshot_of_bytes({"main.py": data})
        assert "source.encoding" in {p.rule for p in review_code(snapshot, "main.py").must_answer()}


def test_a_loader_s_name_excuses_no_update_and_no_name_accuses_a_loader() -> None:
    loader = "def load_weights(m):\n    for p in m.parameters():\n        p.data.copy_({})\n"
    assert "weight.assigned" in rules_at(review({"main.py": loader.format("p - 0.1 * p")}), 3)
    honest = review({"main.py": "import torch\n" + loader.format("torch.load('x')")})
    assert {p.kind for p in honest.pointers if p.line == 4} == {Kind.LOADING}


# --- differences and techniques ------------------------------------------------------------------------------------------


def test_a_difference_shows_new_pointers_only() -> None:
    before = code_corpus.snapshot({"main.py": SGD})
    after = code_corpus.snapshot(
        {"main.py": "# a line\n\n" + SGD + "m(torch.ones(1, 2)).backward()\n", "new.py": "x = 1\n"}
    )
    found = difference((before, review_code(before, "main.py")), (after, review_code(after, "main.py")))
    assert (found.added, found.changed, found.removed) == (("new.py",), ("main.py",), ())
    assert {p.rule for p in found.must_answer()} == {"gradient.backward"}
    assert found.gone_pointers == ()
    assert "+m(torch.ones(1, 2)).backward()" in found.unified
    same = difference((before, review_code(before, "main.py")), (before, review_code(before, "main.py")))
    assert same.same
    assert not same.new_pointers


def test_techniques_are_seen_and_held_against_a_whitelist() -> None:
    snapshot = code_corpus.snapshot({"main.py": SGD + "kv_cache = {}\n"})
    seen = {
        s.technique: s.allowed for s in techniques_seen(snapshot, review_code(snapshot, "main.py"), ["inference.*"])
    }
    assert seen == {"inference.kv-cache": True, "training.gradient-descent": False}
    with pytest.raises(InputError, match="no technique"):
        techniques_seen(snapshot, review_code(snapshot, "main.py"), ["inference.magic"])


def test_the_catalogues_are_sound() -> None:
    known = rules().by_id
    assert all(rule in known for t in catalogue() for rule in t.rules)
    assert len({t.id for t in catalogue()}) == len(catalogue())
    assert all(t.id.startswith(f"{t.group}.") for t in catalogue())
    assert all(r.doubt is Doubt.MUST_ANSWER for r in known.values() if r.kind is Kind.TRAINER and "library" in r.id)
    assert any(r.kind in PARAMETERS_CHANGE for r in known.values())


# --- bytes that are no source --------------------------------------------------------------------------------------------

HOSTILE = {
    "brackets": b"(" * 100_000,
    "brackets that close": b"(" * 100_000 + b")" * 100_000,
    "minus": b"x = " + b"-" * 100_000 + b"1",
    "sum": b"x = " + b"1+" * 100_000 + b"1",
    "not": b"x = " + b"not " * 50_000 + b"1",
    "attributes": b"x = a" + b".b" * 50_000,
    "calls": b"x = a" + b"()" * 50_000,
    "elif": b"if a: pass\n" + b"elif b: pass\n" * 3_000,
    "lambda": b"x = " + b"lambda: " * 5_000 + b"1",
    "number": b"x = 1" + b"0" * 100_000,
    "null": b"x = 1\0\n",
    "latin": b"x = '\xff'\n",
    "utf-16": "x = 1".encode("utf-16"),
    "codec": b"# coding: hex\nx\n",
    "unknown codec": b"# coding: nothing-such\nx\n",
    "indent": b"".join(b" " * i + b"if x:\n" for i in range(200)),
    "f-string": b"f'" + b"{x:" * 300 + b"'",
    "surrogate": b"x = '\\ud800'\ngetattr(x, '\\ud800')()\n",
    "huge string": b"getattr(x, 'a' * 10**9)()\n",
    "format bomb": b"getattr(x, '%999999999d' % 1)()\ngetattr(x, '{:999999999}'.format(1))()\n",
    "circle": b"a = b\nb = a\ndef f(x): return f(x)\nx = f(f)\nclass A(A): pass\nA().b.c()\nfrom main import *\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_source_is_read_or_named_and_never_raises(data: bytes) -> None:
    found = review_code(code_corpus.snapshot_of_bytes({"main.py": b"x = 1\n", "bad.py": data}), "main.py")
    parsed = parse_source(data)
    unparsed = {place for u in found.cannot_see if u.reason is BlindSpot.UNPARSED for place in u.places}
    assert unparsed == ({"bad.py"} if isinstance(parsed, Unparsed) else set())


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_source_or_none(data: bytes) -> None:
    review_code(
        code_corpus.snapshot_of_bytes({"main.py": b"x = 1\n", "a.py": data, "b.ipynb": data, "c.yaml": data}), "main.py"
    )


MATERIAL = "\n".join(text for p in code_corpus.programs("training")[:40] for text in p.files.values()).split("\n")


@settings(max_examples=40)
@given(st.lists(st.sampled_from(MATERIAL), min_size=1, max_size=12), st.integers(0, 2**32))
def test_shuffled_lines_of_disguises_never_raise(lines: list[str], seed: int) -> None:
    text = list("\n".join(lines)) or [" "]
    draw = random.Random(seed)
    for _ in range(draw.randrange(4)):
        text[draw.randrange(len(text))] = draw.choice("()[]{}:.,=*'\" \n")
    review({"main.py": "x = 1\n", "a.py": "".join(text)})


def test_folding_agrees_with_python_where_it_folds() -> None:
    """The slow obvious oracle: the interpreter itself, on expressions of constants."""
    for text in ("'a' + 'b'", "'ab' * 3", "7 ^ 2", "'x%s' % 'y'", "b'ab' + b'c'", "9 // 2", "5 - 7"):
        node = ast.parse(text, mode="eval").body
        assert isinstance(node, ast.BinOp)
        assert binary(node.op, ast.literal_eval(node.left), ast.literal_eval(node.right)) == eval(text)
    assert method("a-b", "replace", ["-", "+"], {}) == "a+b"
    assert binary(ast.Mult(), "a", 10**9) is UNFOLDABLE
    assert method("a", "replace", ["a", "b" * (1 << 16)], {}) is not None


def test_review_does_not_import_what_it_reads() -> None:
    before = set(sys.modules)
    review({"main.py": "raise SystemExit\n", "never_imported_here.py": "import antigravity\n"})
    assert not {"never_imported_here", "antigravity"} & (set(sys.modules) - before)
    assert isinstance(parse_source(b"x = 1\n"), Source)
