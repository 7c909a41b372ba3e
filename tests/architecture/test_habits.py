"""Habits of the design that a machine can check: budgets, printing, excepts, docstrings, words, and what the tree names."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator

import pytest
from source_tree import ROOT, Module, modules

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 6

LONG_FILES: dict[str, int] = {}
"""File -> lines. Shrinks only: an entry that is no longer needed fails the test."""
LONG_FUNCTIONS: dict[str, int] = {}
"""File:function -> lines of its body."""
MANY_PARAMETERS: dict[str, str] = {
    "src/inspectorate/cli/review.py:review_bundle": "the reviewer's choices, one by one; all but the bundle are keyword-only",
    "src/inspectorate/evidence/bundle.py:bundle_contents": "a bundle is made of exactly these; all are keyword-only",
    "src/inspectorate/mechanisms/interconnect/flows/sflow.py:flow_sample": "a compiled kernel takes arrays, not records",
    "src/inspectorate/mechanisms/interconnect/flows/sflow.py:counter_sample": "a compiled kernel takes arrays, not records",
    "src/inspectorate/mechanisms/interconnect/plan/kernel.py:_best_steps": "a compiled kernel takes numbers, not records",
    "src/inspectorate/mechanisms/interconnect/plan/kernel.py:_bound": "a compiled kernel takes numbers, not records",
    "src/inspectorate/mechanisms/interconnect/plan/kernel.py:_consider": "a compiled kernel takes numbers, not records",
    "src/inspectorate/mechanisms/interconnect/plan/kernel.py:cycle_s": "a compiled kernel takes numbers, not records",
    "src/inspectorate/mechanisms/interconnect/sensor.py:_view": "all of it comes from one loop over grids",
    "src/inspectorate/review.py:review": "the reviewer's choices, one by one; all but the bundle are keyword-only",
    "src/inspectorate/submission.py:submit": "a bundle is made of exactly these; all are keyword-only",
}
"""File:function -> why. Options of a command of the command line do not count: click passes each by itself."""

MAY_PRINT = ("src/inspectorate/cli/", "src/inspectorate/lab/work_")
"""The command line, and the workers of the lab, which are processes of their own."""

SCOPES = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(module.tree) if isinstance(node, SCOPES))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    return [arg.arg for arg in given if arg.arg not in {"self", "cls"}]


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    words = [ast.unparse(decorator).split("(")[0] for decorator in function.decorator_list]
    return any(word.split(".")[-1] in {"command", "option", "argument"} for word in words)


# --- budgets -----------------------------------------------------------------------------------------------------------


def test_files_keep_their_budget() -> None:
    found = {m.place: len(m.path.read_text(encoding="utf-8").splitlines()) for m in modules()}
    over = {place: lines for place, lines in found.items() if lines > FILE_LINES_MAX}
    assert over.keys() == LONG_FILES.keys(), "split the file, or strike the exception that is no longer needed"
    assert all(lines <= LONG_FILES[place] for place, lines in over.items()), "exceptions shrink only"


def test_functions_keep_their_budget() -> None:
    found = {f"{m.place}:{f.name}": body_lines(f) for m in modules() for f in functions(m)}
    over = {place: lines for place, lines in found.items() if lines > FUNCTION_LINES_MAX}
    assert over.keys() == LONG_FUNCTIONS.keys(), "split the function, or strike the exception that is no longer needed"
    assert all(lines <= LONG_FUNCTIONS[place] for place, lines in over.items()), "exceptions shrink only"


def test_functions_take_few_parameters() -> None:
    over = {
        f"{m.place}:{f.name}"
        for m in modules()
        for f in functions(m)
        if len(parameters(f)) > PARAMETERS_MAX and not is_command(f)
    }
    assert over == set(MANY_PARAMETERS), "gather them in a record, or strike the exception that is no longer needed"


# --- printing, exits, excepts ------------------------------------------------------------------------------------------


def calls(module: Module) -> Iterator[tuple[str, int]]:
    return ((ast.unparse(n.func), n.lineno) for n in ast.walk(module.tree) if isinstance(n, ast.Call))


@pytest.mark.parametrize("name", ["print", "sys.exit", "exit", "quit", "os._exit", "sys.stdout.write", "breakpoint"])
def test_only_the_command_line_prints_and_ends_the_process(name: str) -> None:
    wrong = [
        f"{m.place}:{line}"
        for m in modules()
        if not m.place.startswith(MAY_PRINT)
        for called, line in calls(m)
        if called == name
    ]
    assert wrong == []


def test_no_broad_excepts() -> None:
    """Except to clean up and raise again, which loses nothing."""
    wrong = []
    for m in modules():
        for node in ast.walk(m.tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = ["everything"] if node.type is None else re.findall(r"\w+", ast.unparse(node.type))
            raises_again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if {"everything", "Exception", "BaseException"} & set(caught) and not raises_again:
                wrong.append(f"{m.place}:{node.lineno}")
    assert wrong == []


def test_no_except_that_says_nothing() -> None:
    wrong = [
        f"{m.place}:{node.lineno}"
        for m in modules()
        for node in ast.walk(m.tree)
        if isinstance(node, ast.ExceptHandler)
        and len(node.body) == 1
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
    ]
    assert wrong == []


# --- what is written about the code ------------------------------------------------------------------------------------


def test_every_module_has_a_docstring() -> None:
    assert [m.place for m in modules() if not (ast.get_docstring(m.tree) or "").strip()] == []


def test_every_public_class_of_a_room_has_a_docstring_or_says_what_its_members_are() -> None:
    wrong = [
        f"{m.place}:{node.name}"
        for m in modules()
        for node in m.tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not _explained(node)
    ]
    assert wrong == []


def _explained(node: ast.ClassDef) -> bool:
    """A docstring, or fields whose names say it: a small record or an enumeration."""
    return ast.get_docstring(node) is not None or all(
        isinstance(item, ast.Assign | ast.AnnAssign | ast.Expr) for item in node.body
    )


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "HACK", "NotImplementedError"])
def test_nothing_is_left_for_later(word: str) -> None:
    wrong = [m.place for m in modules() if re.search(rf"\b{word}\b", m.path.read_text(encoding="utf-8"))]
    assert wrong == []


@pytest.mark.parametrize("word", ["mock", "simulate", "fake", "dry_run", "skip_verification", "insecure"])
def test_no_parameter_turns_the_product_into_a_play(word: str) -> None:
    wrong = [f"{m.place}:{f.name}" for m in modules() for f in functions(m) if word in parameters(f)]
    assert wrong == []


def rooms() -> set[str]:
    return {m.room for m in modules() if m.room not in {"", "__main__"}}


@pytest.mark.parametrize("document", ["docs/trust.md", "docs/architecture.md"])
def test_every_room_stands_in_the_table_of(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    first_column = " ".join(line.split("|")[1] for line in text.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`(\w+)(?:\.py|/)", first_column))
    assert rooms() - named == set()


# --- what the tree names -----------------------------------------------------------------------------------------------

MACHINE = {
    "a path of one machine": r"(?<![\w.])/(?:wor[k]|roo[t]|home/\w+|Users/\w+)/\w",
    "a scratch folder": r"/tmp/bas[h]",
    "a registry": r"pypi\.or[g]|pythonhosted\.or[g]|proxy\.golang\.or[g]|registry\.npmj[s]|deb\.debian\.or[g]",
}
"""Patterns, each written so that it does not find itself."""
MACHINE_EXCEPT = ("tests/ledger/external/go.sum",)


def tracked() -> list[str]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("pattern", MACHINE.values(), ids=MACHINE)
def test_no_file_names_a_machine(pattern: str) -> None:
    wrong = []
    for name in tracked():
        data = (ROOT / name).read_bytes()
        if b"\0" in data[:8192] or name in MACHINE_EXCEPT:
            continue
        text = data.decode("utf-8", errors="replace")
        wrong += [f"{name}: {found.group()}" for found in re.finditer(pattern, text)]
    assert wrong == []


def test_no_file_is_larger_than_a_review_of_it_can_be() -> None:
    """Recorded evidence under examples/ is the one exception."""
    large = [n for n in tracked() if not n.startswith("examples/") and (ROOT / n).stat().st_size > 1_000_000]
    assert large == []
