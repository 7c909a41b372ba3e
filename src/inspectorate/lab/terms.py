"""The agreement of a recorded site: `inference-only-approved` with the terms that minutes of recording can support.

An enrolment of minutes cannot support one false alarm in 24 device-hours: six runs of 52 s support 9.9 an hour, or 10.3 counted in
whole windows, as thresholds are (`signature.calibrate`). So windows are of 5 s instead of 60 s, six runs are enough, and the rate
is 11 an hour. Nothing else is changed. A site that was enrolled for hours would be judged by the shipped terms.
"""

from __future__ import annotations

from typing import Any

from inspectorate.agreement import Agreement, ApprovedWorkloads, Clause, load_agreement
from inspectorate.errors import InputError

AGREEMENT = "bench-inference-only-approved"
WINDOW_S = 5.0
RUNS_MIN = 6
FALSE_ALARMS_PER_DEVICE_HOUR_MAX = 11.0
VERSION = 2
"""Version 1 asked for 10 an hour: the sessions of the recorded example were opened, and found sufficient, under it."""
HEADING = """\
# The terms under which this recorded site is reviewed: `inference-only-approved`, but for the clause on approved workloads,
# whose windows, runs and rate of false alarms are those that an enrolment of minutes can support (docs/lab.md).
"""


def bench_agreement() -> Agreement:
    """The shipped agreement with the bench's own terms of approval."""
    shipped = load_agreement("inference-only-approved")
    changed: dict[str, Any] = shipped.model_dump()
    changed |= {"id": AGREEMENT, "version": VERSION}
    for clause in changed["clauses"]:
        if clause["parameters"]["kind"] == "approved-workloads":
            clause["parameters"] |= {
                "window_s": WINDOW_S,
                "enrolled_runs_min": RUNS_MIN,
                "false_alarms_per_device_hour_max": FALSE_ALARMS_PER_DEVICE_HOUR_MAX,
            }
    return Agreement.parse(changed, where=AGREEMENT, error=InputError)


def approving(agreement: Agreement) -> tuple[Clause, ApprovedWorkloads]:
    """The clause that approves workloads, and its terms."""
    for clause in agreement.clauses:
        if isinstance(clause.parameters, ApprovedWorkloads):
            return clause, clause.parameters
    raise InputError("approves no workloads", where=agreement.id)
