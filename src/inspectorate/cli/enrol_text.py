"""What `inspectorate enrol` prints for people."""

from __future__ import annotations

from collections.abc import Sequence

from inspectorate.canonical import digest_of
from inspectorate.mechanisms.workloads.enrol.closing import Closed
from inspectorate.mechanisms.workloads.enrol.code import CodeDigest
from inspectorate.mechanisms.workloads.enrol.compare import Difference
from inspectorate.mechanisms.workloads.enrol.drift import Drift
from inspectorate.mechanisms.workloads.enrol.session import Session
from inspectorate.mechanisms.workloads.enrol.sufficiency import Sufficiency
from inspectorate.mechanisms.workloads.enrol.types import RecordedRun
from inspectorate.mechanisms.workloads.signature.types import Setting

STRETCHES_SHOWN = 20


def open_lines(session: Session, code: CodeDigest) -> list[str]:
    manifest, plan = session.manifest, session.plan
    ranges = ", ".join(f"{one.name} {one.least:g} to {one.most:g}" for one in manifest.operating_range)
    return [
        f"session {manifest.session} opened by {session.opened.by} in {session.folder}",
        (
            f"  workload  {manifest.workload} ({manifest.kind}) on {', '.join(manifest.pods)}: "
            f"{manifest.chips} x {manifest.chip} each"
        ),
        f"  code      {code.digest} ({code.files:,} files, {code.size_bytes:,} bytes)",
        f"  meter     {plan.meter}: {len(plan.units)} units, {', '.join(plan.signals)}, every {plan.step_s:g} s",
        f"  range     {ranges or 'no conditions'}",
        (
            f"  clause    {plan.clause} of {plan.agreement}: at least {plan.terms.enrolled_runs_min} runs, at most "
            f"{plan.terms.false_alarms_per_device_hour_max:.3g} false alarms per device-hour"
        ),
        f"next: inspectorate enrol record {session.folder} {settings_text(_example(session))} --from SPOOL --anchors ANCHORS",
    ]


def record_lines(recorded: RecordedRun, rows: int) -> list[str]:
    what = f"contrast {recorded.contrast} ({recorded.kind}), run {recorded.run.id}" if recorded.contrast else (
        f"run {recorded.run.id}"
    )  # fmt: skip
    return [
        (
            f"{what}: {settings_text(recorded.run.settings) or 'no settings'}, {recorded.run.period}, "
            f"{recorded.run.period.duration_s / 3600:.3g} h, {rows:,} samples in {len(recorded.segments)} segments"
        ),
        *(f"  note: {note}" for note in recorded.notes),
    ]


def close_lines(closed: Closed) -> list[str]:
    record = closed.record
    return [
        (
            f"session {record.manifest.session} closed: {record.workload}, {len(record.runs)} runs, "
            f"valid until {record.valid_until:%Y-%m-%d %H:%M} UTC"
        ),
        f"  statement  {digest_of(closed.envelope)}",
        f"  reference  {record.reference} ({closed.reference_bytes:,} bytes)",
        *sufficiency_lines(closed.sufficiency),
    ]


def sufficiency_lines(found: Sufficiency) -> list[str]:
    """What was recorded is worth, check by check."""
    lines = ["enough was recorded" if found.sufficient else "NOT ENOUGH was recorded"]
    for check in found.checks:
        mark = "ok   " if check.met else ("SHORT" if check.required else "note ")
        lines.append(f"  {mark} {check.name}: {check.found}" + (f"; {check.need}" if check.need else ""))
    if found.runs_needed is not None and found.runs_needed_assured is not None:
        lines.append(
            f"  runs of {found.shortest_run_hours * 60:.3g} min needed for the rate that is asked: {found.runs_needed} on "
            f"average, {found.runs_needed_assured} at {found.confidence:.0%} confidence; recorded: {found.runs}"
        )
    if found.independent_windows is not None:
        lines.append(f"  all windows together are worth {found.independent_windows:.1f} independent ones")
    return lines


def difference_lines(found: Sequence[Difference]) -> list[str]:
    if not found:
        return ["nothing differs"]
    again = sum(one.enrol_again for one in found)
    return [
        *(f"  {'!' if one.enrol_again else ' '} {one.field}: {one.one} | {one.other}" for one in found),
        f"{again} of these need an enrolment of their own" if again else "none of these needs another enrolment",
    ]


def drift_lines(found: Drift) -> list[str]:
    lines = [
        f"distance of later stretches to the enrolled runs; the largest of a run to the others is {found.usual:.2f}"
    ]
    for one in found.stretches[:STRETCHES_SHOWN]:
        mark = "outside" if one.outside else "within "
        lines.append(f"  {mark} {one.period}: {one.distance:.2f}, near {one.nearest} ({', '.join(one.furthest)})")
    if len(found.stretches) > STRETCHES_SHOWN:
        lines.append(f"  and {len(found.stretches) - STRETCHES_SHOWN} more")
    lines += [f"  passed over {text}" for text in found.skipped]
    return [*lines, ("RE-ENROL: " if found.recommends_enrolment else "") + found.because]


def settings_text(settings: Sequence[Setting]) -> str:
    return " ".join(f"{one.name}={one.value:g}" for one in settings)


def _example(session: Session) -> tuple[Setting, ...]:
    return tuple(Setting(name=one.name, value=one.least) for one in session.manifest.operating_range)
