"""`inspectorate enrol show`: a session or its signature, against another one, or against later telemetry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import numpy as np

from inspectorate.cli.enrol_text import difference_lines, drift_lines, settings_text, sufficiency_lines
from inspectorate.cli.options import EXISTING, anchors_option, json_option, now, parse_time, print_json
from inspectorate.errors import InputError
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.workloads.enrol.closing import review_session
from inspectorate.mechanisms.workloads.enrol.code import code_digest
from inspectorate.mechanisms.workloads.enrol.compare import Difference, differences, plan_differences
from inspectorate.mechanisms.workloads.enrol.drift import Drift, drift_of
from inspectorate.mechanisms.workloads.enrol.later import later_stretches
from inspectorate.mechanisms.workloads.enrol.load import read_signature
from inspectorate.mechanisms.workloads.enrol.manifest import load_manifest
from inspectorate.mechanisms.workloads.enrol.profile import Profile, profile_of
from inspectorate.mechanisms.workloads.enrol.recording import read_spool
from inspectorate.mechanisms.workloads.enrol.session import Session, read_session
from inspectorate.mechanisms.workloads.enrol.sufficiency import Sufficiency, judge
from inspectorate.mechanisms.workloads.signature.types import ReferenceRun
from inspectorate.quantities import Period

_session = click.Path(exists=True, file_okay=False, path_type=Path)


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """A session, open or closed, with what was recorded."""

    session: Session
    runs: tuple[tuple[ReferenceRun, Profile], ...]
    contrasts: tuple[tuple[str, str, ReferenceRun, Profile], ...]
    """Name, kind, run, profile."""
    sufficiency: Sufficiency
    valid_until: datetime | None


@click.command()
@click.argument("session", type=_session)
@click.option("--against", type=EXISTING, help="Another session's folder, or a manifest (YAML, with --code).")
@click.option("--code", "code_path", type=EXISTING, help="With a manifest: the code that runs now.")
@click.option("--telemetry", "spool", type=_session, help="A collector's folder: has operation moved away since?")
@click.option("--start", help="With --telemetry: from when on.")
@click.option("--end", help="With --telemetry: until when.")
@anchors_option
@json_option
def show(**options: Any) -> None:
    """Show SESSION: runs, settings, contrasts, levels, what it supports, when it expires.

    Exits 10 if it is expired, does not cover --against, or has drifted from --telemetry (an inspector must enrol again), and if not
    all of --telemetry could be compared.
    """
    anchors = TrustAnchors.read(options["anchors_path"])
    session = read_session(options["session"], anchors=anchors)
    shown = _closed(session) if session.closing else _open(session, anchors)
    against = _against(session, options, anchors) if options["against"] else None
    if options["code_path"] and not options["against"]:
        raise InputError("is of no use without --against", where="--code")
    if (options["start"] or options["end"]) and not options["spool"]:
        raise InputError("are of no use without --telemetry", where="--start, --end")
    drift = _drift(shown, options, anchors) if options["spool"] else None
    at = now()
    expired = shown.valid_until is not None and at >= shown.valid_until
    if options["as_json"]:
        print_json(_as_json(shown, against, drift, expired=expired))
    else:
        lines = _lines(shown, expired=expired)
        if against is not None:
            lines += [f"against {options['against']}:", *difference_lines(against)]
        if drift is not None:
            lines += drift_lines(drift)
        click.echo("\n".join(lines))
    unlike = drift is not None and (drift.recommends_enrolment or bool(drift.skipped) or not drift.stretches)
    if expired or unlike or any(one.enrol_again for one in against or ()):
        raise SystemExit(10)


def _open(session: Session, anchors: TrustAnchors) -> Shown:
    """From the segments in the session's folder."""
    reviewed = review_session(session, anchors=anchors)
    recorded = {one.run.id: one for one in session.recorded}
    return Shown(
        session=session,
        runs=tuple((recorded[profile.run].run, profile) for profile in reviewed.profiles),
        contrasts=tuple(
            (name, recorded[profile.run].kind, recorded[profile.run].run, profile)
            for name, profile in reviewed.contrast_profiles
        ),
        sufficiency=reviewed.sufficiency,
        valid_until=None,
    )


def _closed(session: Session) -> Shown:
    """From the signature and its reference telemetry alone, as a verifier has them."""
    assert session.closing is not None
    loaded = read_signature(session.closing, session.payload, [session.opening])
    record = loaded.record

    def profiled(run: ReferenceRun) -> Profile:
        return profile_of(run.id, loaded.frame(run), window_s=record.window_s)

    runs = tuple((run, profiled(run)) for run in record.runs)
    return Shown(
        session=session,
        runs=runs,
        contrasts=tuple((one.name, one.kind, run, profiled(run)) for one in record.contrasts for run in one.runs),
        sufficiency=judge(
            record.manifest, session.plan, record.runs, record.contrasts, [profile for _, profile in runs]
        ),
        valid_until=record.valid_until,
    )


def _against(session: Session, options: dict[str, Any], anchors: TrustAnchors) -> tuple[Difference, ...]:
    path: Path = options["against"]
    if path.is_dir():
        if options["code_path"]:
            raise InputError("is of no use where --against is a session", where="--code")
        other = read_session(path, anchors=anchors)
        return (*differences(session.manifest, other.manifest), *plan_differences(session.plan, other.plan))
    if options["code_path"] is None:
        raise InputError(
            "is needed where --against is a manifest", where="--code", remedy="name the code that runs now"
        )
    return differences(session.manifest, load_manifest(path, code=code_digest(options["code_path"]).digest))


def _drift(shown: Shown, options: dict[str, Any], anchors: TrustAnchors) -> Drift:
    if len(shown.runs) < 2:
        raise InputError("needs at least two enrolled runs to compare with", where="--telemetry")
    plan = shown.session.plan
    spool = read_spool(options["spool"], anchors=anchors, meter=plan.meter)
    period = spool.listened
    assert period is not None
    if options["start"] or options["end"]:
        period = Period.parse(
            {
                "start": parse_time(options["start"]) if options["start"] else period.start,
                "end": parse_time(options["end"]) if options["end"] else period.end,
            },
            where="--start, --end",
            error=InputError,
        )
    later, skipped = later_stretches(spool, plan, period=period, runs=[run.period for run, _ in shown.runs])
    return drift_of([profile for _, profile in shown.runs], later, skipped=skipped)


def _lines(shown: Shown, *, expired: bool) -> list[str]:
    session, manifest, plan = shown.session, shown.session.manifest, shown.session.plan
    if shown.valid_until is None:
        state = "open"
    else:
        state = f"{'EXPIRED' if expired else 'valid until'} {shown.valid_until:%Y-%m-%d %H:%M} UTC"
    lines = [
        f"{manifest.workload} ({manifest.kind}), session {manifest.session} of {session.opened.by}: {state}",
        (
            f"  on {', '.join(manifest.pods)}, {manifest.chips} x {manifest.chip} each; meter {plan.meter}, "
            f"{len(plan.units)} units, every {plan.step_s:g} s"
        ),
        f"  code {manifest.code}",
        *(f"  {line}" for line in (*manifest.hardware, *manifest.software)),
        f"  {shown.sufficiency.hours:.3g} h in {len(shown.runs)} runs, {shown.sufficiency.device_hours:.3g} device-hours",
    ]
    for run, profile in shown.runs:
        lines.append(f"  {run.id:<12} {_run_text(run, profile)}")
    for name, kind, run, profile in shown.contrasts:
        lines.append(f"  {run.id:<12} contrast {name} ({kind}), {_run_text(run, profile)}")
    return lines + sufficiency_lines(shown.sufficiency)


def _run_text(run: ReferenceRun, profile: Profile) -> str:
    settings = settings_text(run.settings)
    levels = ", ".join(f"{signal} {level:.4g}" for signal, level in levels_of(profile).items())
    return f"{run.period.start:%Y-%m-%d %H:%M} {run.period.duration_s / 60:.3g} min {settings + ' ' if settings else ''}| {levels}"


def levels_of(profile: Profile) -> dict[str, float]:
    """Mean of each signal over units and windows."""
    found = zip(profile.features, profile.level, strict=True)
    return {name.removesuffix(":mean"): float(v) for name, v in found if name.endswith(":mean") and np.isfinite(v)}


def _as_json(
    shown: Shown, against: Sequence[Difference] | None, drift: Drift | None, *, expired: bool
) -> dict[str, object]:
    session = shown.session
    found: dict[str, object] = {
        "state": "open" if shown.valid_until is None else ("expired" if expired else "valid"),
        "by": session.opened.by,
        "opened_at": session.opened.opened_at.isoformat(),
        "manifest": session.manifest.model_dump(mode="json"),
        "plan": session.plan.model_dump(mode="json"),
        "runs": [_run_json(run, profile) for run, profile in shown.runs],
        "contrasts": [
            {"contrast": name, "kind": kind, **_run_json(run, profile)} for name, kind, run, profile in shown.contrasts
        ],
        "sufficiency": shown.sufficiency.model_dump(mode="json"),
    }
    if shown.valid_until is not None:
        found["valid_until"] = shown.valid_until.isoformat()
    if against is not None:
        found["differences"] = [one.model_dump(mode="json") for one in against]
    if drift is not None:
        found["drift"] = drift.model_dump(mode="json")
    return found


def _run_json(run: ReferenceRun, profile: Profile) -> dict[str, object]:
    return {**run.model_dump(mode="json"), "windows": len(profile.windows), "levels": levels_of(profile)}
