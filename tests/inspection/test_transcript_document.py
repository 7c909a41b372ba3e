"""The examples of docs/transcripts.md, run in order in one folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_examples_of_the_document_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "transcripts.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 3
    exec(compile("\n".join(examples), "docs/transcripts.md", "exec"), {})
    assert (tmp_path / "run-1" / "closed.json").is_file()
    assert (tmp_path / "serving-1" / "closed.json").is_file()
