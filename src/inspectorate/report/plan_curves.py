"""The numbers of the chart of a plan, read from its exhibits once.

What serving needs is placed where the limit would just let it through, so that a need and a limit can be read against
one axis also where the limits on sending and receiving differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.report import plan_words as say
from inspectorate.report.plan_facts import PlanFacts, Row, Tables, known, number, text

CASES = ("published", "central", "cautious")
MEDIA = ("images", "speech", "video")


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What the chart shows, as numbers."""

    rates: list[float]
    cases: dict[str, list[float | None]]
    methods: list[Row]
    slowdowns: dict[str, list[float | None]]
    at_limit: dict[str, tuple[float | None, str]]
    serving: dict[str, tuple[float, float]]
    """The limits that would just let the answers out, and the prompts in."""
    serving_names: dict[str, str]
    limits: list[tuple[float, str, bool]]
    """Rate, name, and whether it is the one asked for."""


def read_curves(facts: PlanFacts, tables: Tables) -> Curves:
    """The numbers of the chart, from the exhibits."""
    columns = tables.exhibit("curves").columns
    methods = [row for row in tables.rows("methods") if row["method"] in columns]
    asked = facts.sent_bytes_per_s
    same = [cap for cap in tables.rows("caps") if abs(known(cap["bytes_per_s"]) / asked - 1) < 1e-9]
    others = [cap for cap in tables.rows("caps") if cap not in same]
    names = "".join(f", and {_short(text(cap['cap']))}" for cap in same)
    needs = tables.rows("serving")
    return Curves(
        rates=[known(rate) for rate in tables.column("curves", columns[0])],
        cases={case: tables.column("curves", case) for case in CASES},
        methods=methods,
        slowdowns={text(m["method"]): tables.column("curves", text(m["method"])) for m in methods},
        at_limit={case: best_joint(tables, case) for case in CASES},
        serving={text(n["modality"]): facts.limits_for(*_ways(n)) for n in needs},
        serving_names={text(n["modality"]): _need_name(n) for n in needs},
        limits=[
            *((known(cap["bytes_per_s"]), f"{_short(text(cap['cap']))}: {say.rate(known(cap['bytes_per_s']))}", False)
              for cap in others),
            (asked, f"asked for{names}: {say.rate(asked)}", True),
        ],
    )  # fmt: skip


def best_joint(tables: Tables, case: str) -> tuple[float | None, str]:
    """Slowdown and name of the best joint run of a case at the limit asked for."""
    rows = tables.rows("reached", case=case, counts_as="pre-training")
    best = max((row for row in rows if row["method"] != "alone"), key=lambda row: known(row["flop_per_s"]))
    slowdown = number(best["slowdown_times"])
    return slowdown, "" if slowdown is None else text(best["method"])


def _ways(need: Row) -> tuple[float, float]:
    return known(need["sent_bytes_per_s"]), known(need["received_bytes_per_s"])


def _need_name(need: Row) -> str:
    """What a kind of serving is called beneath the chart: media by what they send, text by both ways."""
    sent, received = _ways(need)
    name = text(need["modality"])
    if name in MEDIA:
        return f"{name} {say.rate(sent)}"
    return f"{name} {say.rate(sent)} out, {say.rate(received)} in"


def _short(cap: str) -> str:
    return cap.partition(",")[0].partition(" fixed set")[0]
