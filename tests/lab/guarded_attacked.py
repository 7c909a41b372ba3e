"""A guarded pod on the bench: a real server, a software TPM, clients; attacked in nine ways, and reviewed.

Collected by `test_lab`, so that it runs after the other runs of the bench and not beside them: each needs the cores for itself.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspectorate.assessment import Verdict
from inspectorate.lab.guard_record import GuardPlan, Recorded, record
from inspectorate.lab.packing import reviewed

NEEDED = ("swtpm", "swtpm_setup", "unshare")


@pytest.fixture(scope="module")
def attacked() -> Iterator[tuple[Recorded, Path]]:
    if os.geteuid() != 0:
        pytest.skip("needs root: work is held in a control group")
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or importlib.util.find_spec("torch") is None:
        pytest.skip(f"needs {', '.join(missing) or 'torch'}")
    # The server's user has to reach its model, and pytest's own folders are closed to it.
    with tempfile.TemporaryDirectory(prefix="inspectorate-guarded-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        plan = GuardPlan(seconds=0.0, report_every_s=5.0, attacked=True)
        yield record(folder / "site", work=folder / "pod", plan=plan), folder / "site"


@pytest.mark.root
@pytest.mark.tools
@pytest.mark.slow
def test_every_attack_is_refused_or_halted_within_a_second(attacked: tuple[Recorded, Path]) -> None:
    found, _ = attacked
    for one in found.met:
        print(f"{one.attack}: {one.seconds:.3f} s: {one.told}")
    assert len(found.met) == 8
    assert [one.attack for one in found.met if not one.held] == []


@pytest.mark.root
@pytest.mark.tools
@pytest.mark.slow
def test_clients_lose_no_accepted_request_silently(attacked: tuple[Recorded, Path]) -> None:
    found, _ = attacked
    assert found.outcomes["served"] > 0
    assert found.lost_silently == 0


@pytest.mark.root
@pytest.mark.tools
@pytest.mark.slow
def test_the_review_names_every_attack_and_believes_no_replayed_quote(attacked: tuple[Recorded, Path]) -> None:
    found, site = attacked
    assert found.unnamed == ()
    assert found.verdicts["guarded-operation"] is Verdict.INVALID_EVIDENCE
    assert json.loads((site / "attacks.json").read_text())[0]["attack"] == "an exhausted licence"
    words = " ".join(reason for finding in reviewed(site).findings for reason in finding.reasons)
    assert "its quote does not hold" in words
