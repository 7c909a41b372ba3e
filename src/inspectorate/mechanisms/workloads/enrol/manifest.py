"""The manifest: what an inspector writes down when a session is opened, and what of it the declaration confirms.

    session: chat-2026-11
    workload: chat-serving
    kind: inference
    description: the chat service, batches of up to 32, prompts from the public test set
    pods: [pod-a]
    chip: h100-sxm
    chips: 8
    hardware: ["node 1: serial 1234, BIOS 2.7, VBIOS 96.00.74, power limit 700 W"]
    software: ["driver 570.86", "vllm 0.9.1"]
    operating_range:
      - {name: load, least: 0.1, most: 1.0}
      - {name: batch, least: 1, most: 32}

The digest of the code is computed, never written by hand. What is checked: the pods are declared and have just these chips; the
meter is declared, measures all of these pods, has the units and the signals; on a meter of chips there is one unit per chip.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from inspectorate.agreement import ApprovedWorkloads
from inspectorate.declaration import Declaration, MeasuringPoint, Meter
from inspectorate.errors import InputError
from inspectorate.keys import read_yaml
from inspectorate.mechanisms.workloads.enrol import reference
from inspectorate.mechanisms.workloads.enrol.reference_telemetry import in_frames
from inspectorate.mechanisms.workloads.signature.types import Manifest, Setting
from inspectorate.mechanisms.workloads.telemetry.signals import SIGNALS

NAMES_SHOWN = 5


def load_manifest(path: Path, *, code: str) -> Manifest:
    """The manifest in a YAML file, with the digest of the code. Raises `InputError` naming file, line and field."""
    value = read_yaml(path, bytes_max=reference.MANIFEST_BYTES_MAX)
    if not isinstance(value, dict):
        raise InputError("is not a mapping of fields", where=str(path), remedy="see docs/enrolment.md for an example")
    if "code" in value and value["code"] != code:
        raise InputError(
            f"names code {value['code']!s:.80}, but what was given with --code is {code}",
            where=str(path),
            remedy="strike the field: the digest is computed",
        )
    manifest = Manifest.parse({**value, "code": code}, where=str(path), error=InputError)
    names = [condition.name for condition in manifest.operating_range]
    if len(set(names)) != len(names):
        raise InputError("operating_range names a condition twice", where=str(path))
    return manifest


def check_manifest(manifest: Manifest, declaration: Declaration, terms: ApprovedWorkloads, *, where: str) -> None:
    """Hold a manifest against the declaration and the clause. Raises `InputError` at the first thing that differs."""
    if manifest.kind not in terms.kinds:
        raise InputError(f"the clause lets no {manifest.kind} be approved, only {', '.join(terms.kinds)}", where=where)
    if len(set(manifest.pods)) != len(manifest.pods):
        raise InputError("names a pod twice", where=where)
    declared = {pod.id: pod for pod in declaration.pods}
    for name in manifest.pods:
        if name not in declared:
            raise InputError(f"pod {name} is not declared", where=where, remedy=f"declared are {_some(list(declared))}")
        groups = {group.model: group.count for group in declared[name].chips}
        if groups != {manifest.chip: manifest.chips}:
            has = ", ".join(f"{count} x {model}" for model, count in groups.items())
            raise InputError(
                f"pod {name} is declared with {has}, not with {manifest.chips} x {manifest.chip}",
                where=where,
                remedy="correct the manifest, or have the declaration corrected before the session",
            )


def check_meter(manifest: Manifest, declaration: Declaration, name: str) -> Meter:
    """The declared meter of that name, which must measure all pods of the manifest. Raises `InputError`."""
    meters = {meter.id: meter for meter in declaration.meters}
    if name not in meters:
        raise InputError(
            f"meter {name} is not declared", where="--meter", remedy=f"declared are {_some(list(meters)) or 'none'}"
        )
    unmeasured = [pod for pod in manifest.pods if pod not in meters[name].pods]
    if unmeasured:
        raise InputError(f"meter {name} does not measure {_some(unmeasured)}", where="--meter")
    return meters[name]


def choose_units(manifest: Manifest, meter: Meter, patterns: Sequence[str]) -> tuple[str, ...]:
    """The meter's units that match a pattern (`*` and `?`), all without patterns. Raises `InputError`."""
    others = sorted(set(meter.pods) - set(manifest.pods))
    if others and not patterns:
        raise InputError(
            f"meter {meter.id} also measures {_some(others)}",
            where="--units",
            remedy="say which of its units are those of the enrolled pods, such as --units 'pod-a/*'",
        )
    for pattern in patterns:
        if not any(fnmatchcase(unit, pattern) for unit in meter.units):
            raise InputError(f"no unit of meter {meter.id} matches {pattern!r}", where="--units")
    chosen = tuple(u for u in meter.units if not patterns or any(fnmatchcase(u, p) for p in patterns))
    expected = manifest.chips * len(manifest.pods)
    if meter.point is MeasuringPoint.CHIP and len(chosen) != expected:
        raise InputError(
            f"{len(chosen)} units of meter {meter.id}, which measures chips, are not the {expected} chips of the pods",
            where="--units",
            remedy="choose the units of the enrolled pods, or have the declaration corrected",
        )
    return chosen


def choose_signals(meter: Meter, asked: Sequence[str]) -> tuple[str, ...]:
    """The gauges that are compared: all that the meter's signals become, or those asked for. Raises `InputError`."""
    unknown = [signal for signal in meter.signals if signal not in SIGNALS]
    if unknown:
        raise InputError(
            f"meter {meter.id} is declared with signals that nobody knows: {_some(unknown)}", where="--meter"
        )
    offered = tuple(dict.fromkeys(in_frames(signal) for signal in meter.signals))
    absent = [signal for signal in asked if signal not in offered]
    if absent:
        raise InputError(
            f"meter {meter.id} does not measure {_some(absent)}",
            where="--signals",
            remedy=f"it measures {', '.join(offered)}",
        )
    return tuple(signal for signal in offered if not asked or signal in asked)


def settings_faults(manifest: Manifest, settings: Sequence[Setting]) -> list[str]:
    """What is wrong with the settings of a run of the workload: each condition exactly once, and within its range."""
    ranges = {condition.name: condition for condition in manifest.operating_range}
    given = [setting.name for setting in settings]
    faults = [f"{name} is no condition of the operating range" for name in given if name not in ranges]
    faults += [f"{name} is set twice" for name in sorted({n for n in given if given.count(n) > 1})]
    faults += [f"{name} is not set" for name in ranges if name not in given]
    for setting in settings:
        known = ranges.get(setting.name)
        if known and not known.least <= setting.value <= known.most:
            faults.append(f"{setting.name}={setting.value:g} is outside of {known.least:g} to {known.most:g}")
    return faults


def parse_settings(texts: Sequence[str]) -> tuple[Setting, ...]:
    """Settings from `name=value` texts. Raises `InputError`."""
    found = []
    for text in texts:
        name, separator, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            separator, number = "", 0.0
        if not separator:
            raise InputError(f"{text!r} is not NAME=NUMBER", where="settings", remedy="write load=0.5 batch=8")
        found.append(Setting.parse({"name": name, "value": number}, where=f"setting {text}", error=InputError))
    return tuple(found)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
