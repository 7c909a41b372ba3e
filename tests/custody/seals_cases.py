"""Statements about seals, signed, and rendered photographs of a few, made once."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from inspectorate.canonical import digest_of
from inspectorate.evidence import Origin, VerifiedStatement, make_statement, sign_statement, verify_envelope
from inspectorate.evidence.custody import SealApplied, SealChecked, SealDecision
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.custody.seals.calibration import shipped
from inspectorate.mechanisms.custody.seals.comparing import Compared, Reference, Unclear, compare, reference_of
from inspectorate.mechanisms.custody.seals.photo import decode
from inspectorate.mechanisms.custody.seals.report import Report, report
from inspectorate.worlds.seal_photos import CAMERAS, Make, Shot
from inspectorate.worlds.seal_photos_render import Scene, photograph
from inspectorate.worlds.seal_photos_shots import ATTACKS, Case, case_of, second_shot

START = datetime(2026, 11, 1, tzinfo=UTC)
KEYS = {name: SigningKey(bytes([k]) * 32) for k, name in enumerate(("ines", "ivan", "owner"), start=1)}
HOLDERS = {"ines": Holder.VERIFIER, "ivan": Holder.JOINT, "owner": Holder.PROVER}


@cache
def anchors() -> TrustAnchors:
    made = [
        TrustAnchor(
            name=name, public_key=base64.b64encode(key.public.raw).decode(), holder=HOLDERS[name], roles=(Role.INSPECTOR,),
            valid_from=START - timedelta(days=1), valid_until=START + timedelta(days=10_000),
        )
        for name, key in KEYS.items()
    ]  # fmt: skip
    return TrustAnchors(anchors=tuple(made))


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def _signed(predicate: SealApplied | SealChecked, salt: str) -> VerifiedStatement:
    statement = make_statement(predicate, {"photo-1": digest_of(salt.encode())})
    return verify_envelope(sign_statement(statement, KEYS[predicate.by]), anchors=anchors(), where="test")


@cache
def applied(
    seal: str = "s1", hours: float = 0, *, by: str = "ines", places: tuple[str, ...] = ("rack-1",)
) -> VerifiedStatement:
    predicate = SealApplied(
        origin=Origin.SIMULATED, by=by, seal=seal, site="site-1", places=places, applied_at=at(hours)
    )
    return _signed(predicate, f"{seal} {hours} {by}")


@cache
def checked(
    of: VerifiedStatement,
    hours: float,
    decision: SealDecision = SealDecision.INTACT,
    *,
    by: str = "ines",
    number: float | None = None,
    calibration: str | None = None,
) -> VerifiedStatement:
    predicate = SealChecked(
        origin=Origin.SIMULATED, by=by, applied=of.digest, decision=decision, checked_at=at(hours),
        log_likelihood_ratio=number, calibration=calibration,
    )  # fmt: skip
    return _signed(predicate, f"{hours} {decision} {by}")


# --- photographs -------------------------------------------------------------------------------------------------------

SMALL = replace(CAMERAS[0], name="small", width=640, height=480, focal_px=650)
"""As good as any, and cheaper to render."""
NEW = Shot(
    camera=replace(SMALL, k1=-0.1, k2=0.02, noise=2.5, jpeg=85), tilt=0.3, azimuth=1.0, roll=0.15, fill=0.5,
    light_azimuth=3.0, light_elevation=0.8, defocus_px=0.5, seed=5,
)  # fmt: skip


@cache
def case() -> Case:
    return case_of(7, Make.GLITTER, SMALL, np.random.default_rng(7))


@cache
def references() -> tuple[bytes, ...]:
    first = Shot(camera=SMALL, tilt=0.08, fill=0.55, light_azimuth=0.4, seed=1)
    return tuple(
        photograph(case().scene, one) for one in (first, replace(first, light_azimuth=2.6, light_elevation=0.7, seed=2))
    )


@cache
def reference() -> Reference:
    return reference_of([decode(data, where=f"reference {k}") for k, data in enumerate(references())])


@cache
def attacked(name: str) -> Scene:
    """The scene of an attack; `same` is none."""
    return case().scene if name == "same" else ATTACKS[name](case(), np.random.default_rng(3))


@cache
def taken(name: str, shot: Shot = NEW) -> bytes:
    return photograph(attacked(name), shot)


@cache
def told() -> Report:
    """Two new photographs together: of the seal, and of it with a part replaced."""
    photos = [decode(taken(name), where=name) for name in ("same", "part replaced")]
    return report(reference(), photos, shipped(), mirrors=True)


@cache
def found(name: str, shot: Shot = NEW) -> Compared | Unclear:
    if shot is NEW and name in {"same", "part replaced"}:
        return told().found[name != "same"]
    return compare(reference(), decode(taken(name, shot), where=name))


def clear(name: str, shot: Shot = NEW) -> Compared:
    one = found(name, shot)
    assert isinstance(one, Compared), one
    return one


SECOND = second_shot(NEW, np.random.default_rng(1))
