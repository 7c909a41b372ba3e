"""Disguised training under its own claim: what differs is found, what does not is not, and honest runs are counted as alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from evaluation_making import SHAPES, made_run, plain

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate.detectors import Distances
from inspectorate.mechanisms.workloads.evaluate.metrics import Figure
from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared
from inspectorate.mechanisms.workloads.evaluate.questions import Bench
from inspectorate.mechanisms.workloads.evaluate.questions_claims import claims
from inspectorate.mechanisms.workloads.evaluate.runs import Run

CLAIM = "flat/offline"


def quiet(text: str) -> None:
    assert text


@dataclass(frozen=True)
class FittedBySight:
    workloads: tuple[str, ...]
    sees: frozenset[str]

    def distances(self, one: Prepared) -> Distances:
        """Near is what has the name, and what is disguised and not seen through."""
        near = [name == one.run.workload or bool(one.run.disguise) for name in self.workloads]
        far = one.run.kind == "training" and (one.run.disguise or "plain") in self.sees
        return np.array([[9.0 if far else 1.0 + (not good) for good in near]] * len(one)) + 0.01 * one.features


@dataclass(frozen=True)
class BySight:
    """Sees through some disguises, and through none of the others."""

    sees: frozenset[str]
    name: str = "sight"

    def fit(self, enrolled: Sequence[Prepared]) -> FittedBySight:
        return FittedBySight(tuple(sorted({one.run.workload for one in enrolled})), self.sees)


def disguised(name: str, number: int, session: str) -> Run:
    return replace(
        made_run("steps/train", number, session=session, job=f"{session}/{name}#{number}"), disguise=name, claims=CLAIM
    )


@pytest.fixture(scope="module")
def bench() -> Bench:
    runs = [
        made_run(name, 10 * (session == "s2") + k, session=session, job=f"{session}/{name}#{k}")
        for session, count in (("s1", 3), ("s2", 1))
        for name in SHAPES
        for k in range(count)
    ]
    runs += [disguised(name, k, session) for name in ("thick", "thin") for k, session in enumerate(("s1", "s2"))]
    return Bench(name="rack", prepared=tuple(plain(run, value=-0.01 * place) for place, run in enumerate(runs)))


def rows(bench: Bench, sees: set[str], by: str) -> dict[str, Figure]:
    answer = claims([bench], [BySight(sees=frozenset(sees))], quiet, by=by, folds_max=3)
    return {str(row[2]): row[-2] for row in answer.rows if isinstance(row[-2], Figure)}


@pytest.mark.parametrize(("by", "of_each", "training"), [("run", 2, 4), ("session", 1, 1)])
def test_only_what_is_seen_through_is_found(bench: Bench, by: str, of_each: int, training: int) -> None:
    found = rows(bench, {"thin", "plain"}, by)
    assert (found["thin"].value, found["thin"].n) == (1.0, of_each)
    assert (found["thick"].value, found["thick"].n) == (0.0, of_each)
    assert (found["none: training"].value, found["none: training"].n) == (1.0, training)
    assert (found["all disguises"].value, found["all disguises"].n) == (0.5, 2 * of_each)


def test_honest_runs_are_tried_under_their_own_claim(bench: Bench) -> None:
    by_run, by_session = rows(bench, {"thin"}, "run")["none: honest"], rows(bench, {"thin"}, "session")["none: honest"]
    assert (by_run.n, by_session.n) == (8, 2)


def test_without_claims_there_is_no_answer(bench: Bench) -> None:
    honest = replace(bench, prepared=tuple(one for one in bench.prepared if not one.run.disguise))
    with pytest.raises(InputError, match="claims to be"):
        claims([honest], [BySight(sees=frozenset())], quiet, by="run")


def test_sessions_of_single_runs_set_no_threshold(bench: Bench) -> None:
    single = replace(bench, prepared=tuple(one for one in bench.prepared if one.run.session == "s2"))
    with pytest.raises(InputError, match="no session"):
        claims([single], [BySight(sees=frozenset())], quiet, by="session")
