"""Files that are no Python source, and what of them runs all the same: compiled code, pickles, start-up files, scripts, notebooks,
configuration that names code. Recognised by content first, by name second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from inspectorate.mechanisms.inspection.code.collect import Collector
from inspectorate.mechanisms.inspection.code.source import excerpt_of
from inspectorate.mechanisms.inspection.code.types import BlindSpot

NATIVE_HEADS = (b"\x7fELF", b"MZ", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",
                b"\xca\xfe\xba\xbe", b"!<arch>\n", b"\0asm", b"BC\xc0\xde", b"\x50\xed\x55\xba")  # fmt: skip
NATIVE_NAMES = (
    ".so",
    ".pyd",
    ".dll",
    ".dylib",
    ".o",
    ".a",
    ".cubin",
    ".ptx",
    ".fatbin",
    ".hsaco",
    ".wasm",
    ".exe",
    ".node",
    ".bc",
)
BYTECODE_NAMES = (".pyc", ".pyo")
ARCHIVE_HEADS = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")
PICKLE_NAMES = (
    ".pkl",
    ".pickle",
    ".pt",
    ".pth",
    ".ckpt",
    ".bin",
    ".joblib",
    ".dill",
    ".model",
    ".npy",
    ".npz",
    ".h5",
    ".keras",
)
SOURCE_NAMES = (".c", ".cc", ".cpp", ".cxx", ".h", ".hpp", ".cu", ".cuh", ".hip", ".metal", ".rs", ".go", ".js", ".ts", ".mjs",
                ".java", ".cs", ".swift", ".pyx", ".pxd", ".pxi", ".jl", ".lua", ".r", ".pl", ".rb", ".zig", ".f90", ".s", ".asm",
                ".cl", ".glsl", ".comp", ".wgsl", ".mm", ".m", ".kt", ".scala")  # fmt: skip
SCRIPT_NAMES = (".sh", ".bash", ".zsh", ".ps1", ".bat", ".cmd", ".mk", ".slurm", ".sbatch")
SCRIPT_FILES = frozenset({"makefile", "dockerfile", "justfile", "procfile", "containerfile"})
START_FILES = frozenset({"sitecustomize.py", "usercustomize.py"})
TRAINS = re.compile(
    r"python[\d.]*\s+(-\w\s+)*-c\b|<<\s*['\"]?\w+|torchrun|accelerate\s+launch|deepspeed\s|torch\.distributed\.(run|launch)|"
    r"\b(curl|wget)\b[^\n|]*\|\s*(ba)?sh|base64\s+(-d|--decode)|\beval\b|\btrain\w*\.py|\bfinetune|LD_PRELOAD|PYTHONSTARTUP|"
    r"PYTHONPATH|python[\d.]*\s+-m\s+\S*train",
    re.IGNORECASE,
)
CODE_NAMES = re.compile(
    r"torch\.optim\.\w+|torch\.autograd\.\w+|\.backward\(|optimizer\.step|transformers\.\w*Trainer|pytorch_lightning\.\w*Trainer|"
    r"deepspeed\.initialize|!!python/|optax\.\w+|bitsandbytes\.optim|(?:os|builtins|subprocess)\.(?:system|exec|eval|Popen)\b|"
    r"__import__\(|loss\.backward|peft\.get_peft_model|jax\.(?:value_and_)?grad\b|keras\.optimizers"
)
PROSE = (".md", ".rst", ".txt", ".html", ".css", ".svg", ".po", ".license", ".typed", ".csv", ".tsv", ".pyi")
PROSE_FILES = frozenset({"license", "notice", "readme", "metadata", "record", "authors", "changelog", "copying"})
LINE_OF_CODE = re.compile(r"^\s*(import \w+|from [\w.]+ import |def \w+\(.*\):|class \w+.*:|exec\(|@\w+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Python that stands in another kind of file."""

    file: str
    source: bytes


def is_python(name: str, head: bytes) -> bool:
    """Whether Python would run the file as source."""
    lowered = name.lower()
    if lowered.endswith((".py", ".pyw")):
        return True
    return head.startswith(b"#!") and b"python" in head.split(b"\n", 1)[0]


def look_at(name: str, head: bytes, data: bytes | None, collector: Collector) -> BlindSpot | None:
    """Point to what may run in a file that is no Python; says which kind of blind spot it is, if it is one."""
    lowered = name.lower()
    base = lowered.rsplit("/", 1)[-1]

    def whole(rule: str) -> None:
        collector.add(rule, (name, 0, 0), "")

    if base in START_FILES or (base.endswith(".pth") and _starts(data or b"")):
        whole("file.start")
        return BlindSpot.DATA
    if lowered.endswith(BYTECODE_NAMES):
        whole("file.bytecode")
        return BlindSpot.GENERATED
    if head.startswith(NATIVE_HEADS) or lowered.endswith(NATIVE_NAMES) or ".so." in base:
        whole("file.native")
        return BlindSpot.NATIVE
    if _is_pickle(head) or (head.startswith(b"PK\x03\x04") and lowered.endswith(PICKLE_NAMES)):
        whole("file.pickle")
        return BlindSpot.DATA
    if head.startswith(ARCHIVE_HEADS):
        whole("file.archive")
        return BlindSpot.DATA
    if lowered.endswith(SOURCE_NAMES):
        whole("file.source")
        return BlindSpot.OTHER_LANGUAGE
    if data is None:
        whole("file.large")
        return BlindSpot.DATA
    if lowered.endswith(SCRIPT_NAMES) or base in SCRIPT_FILES or (head.startswith(b"#!") and not is_python(name, head)):
        _script(name, data, collector)
        return BlindSpot.OTHER_LANGUAGE
    return _text(name, base, head, data, collector)


def _starts(data: bytes) -> bool:
    """Whether a `.pth` file has a line that Python runs."""
    return any(line.lstrip(b"\xef\xbb\xbf").startswith((b"import ", b"import\t")) for line in data.splitlines())


def _is_pickle(head: bytes) -> bool:
    return len(head) > 2 and head[0] == 0x80 and head[1] in range(2, 6)


def _script(name: str, data: bytes, collector: Collector) -> None:
    text = data.decode("utf-8", "replace")
    lines = tuple(text.split("\n"))
    collector.add("file.script", (name, 0, 0), "")
    for found in list(TRAINS.finditer(text))[:50]:
        line = text.count("\n", 0, found.start()) + 1
        collector.add("file.script-trains", (name, line, line), excerpt_of(lines, line, line))


def _text(name: str, base: str, head: bytes, data: bytes, collector: Collector) -> BlindSpot | None:
    """Text that names code or is code; documents are left alone unless they are code as a whole."""
    if b"\0" in head:
        return (
            None if base.endswith((".safetensors", ".gguf", ".png", ".jpg", ".ttf", ".wav", ".ico")) else BlindSpot.DATA
        )
    text = data.decode("utf-8", "replace")
    lines = tuple(text.split("\n"))
    prose = base.endswith(PROSE) or base.split(".")[0] in PROSE_FILES or ".dist-info/" in name
    if not prose:
        for found in list(CODE_NAMES.finditer(text))[:20]:
            line = text.count("\n", 0, found.start()) + 1
            rule = "file.yaml-tag" if found.group().startswith("!!python/") else "file.text-with-code"
            collector.add(rule, (name, line, line), excerpt_of(lines, line, line), resolved=found.group())
    if not base.endswith((".md", ".rst", ".html", ".pyi", ".ipynb")):
        code = len(LINE_OF_CODE.findall(text[:200_000]))
        if code >= 2 and code * 12 >= min(len(lines), 400):
            collector.add("file.text-with-code", (name, 1, 1), excerpt_of(lines, 1, 3))
            return BlindSpot.DATA
    return None


def cells_of(name: str, data: bytes) -> Iterator[Cell]:
    """The code cells of a notebook as one piece of Python; commands of the notebook are turned into calls."""
    try:
        book = json.loads(data)
        cells = book.get("cells", ()) if isinstance(book, dict) else ()
        sources = [
            "".join(cell["source"]) if isinstance(cell.get("source"), list) else str(cell.get("source", ""))
            for cell in cells
            if isinstance(cell, dict) and cell.get("cell_type") == "code"
        ]
    except (ValueError, RecursionError, TypeError):
        return
    lines = []
    for line in "\n".join(sources).split("\n"):
        stripped = line.lstrip()
        if stripped.startswith(("!", "%")):
            indent = line[: len(line) - len(stripped)]
            command = stripped.lstrip("!%")
            lines.append(
                f"{indent}__import__('os').system({command!r})" if stripped.startswith("!") else f"{indent}pass"
            )
        else:
            lines.append(line)
    yield Cell(file=name, source="\n".join(lines).encode("utf-8", "surrogatepass").replace(b"\0", b""))
