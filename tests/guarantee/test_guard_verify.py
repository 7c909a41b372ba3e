"""`guard verify`: a quote on the verifier's side, from files alone."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from inspectorate.cli.guard_verify import verify
from inspectorate.errors import EvidenceError
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.guarantee.attestation.quote import bound_of, payload_of
from inspectorate.mechanisms.guarantee.attestation.reference import BUILD
from inspectorate.mechanisms.guarantee.attestation.software import SoftwareDevice
from inspectorate.mechanisms.guarantee.attestation.start import raw

CHECKPOINT, KEY, PROGRAM = (f"sha256:{letter * 64}" for letter in "abc")
NONCE = "d" * 64


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    device = SoftwareDevice.open(tmp_path / "device")
    device.measure(BUILD, raw(PROGRAM))
    quote = tmp_path / "quote.bin"
    quote.write_bytes(payload_of(device, bound_of(CHECKPOINT, KEY, NONCE)).encode())
    now = datetime.now(UTC)
    anchor = TrustAnchor(
        name="inspector",
        public_key=base64.b64encode(SigningKey(bytes(32)).public.raw).decode(),
        holder=Holder.VERIFIER,
        roles=(Role.INSPECTOR,),
        valid_from=now,
        valid_until=now + timedelta(days=1),
    )
    anchors = tmp_path / "anchors.yaml"
    anchors.write_text(yaml.safe_dump(TrustAnchors(anchors=(anchor,)).model_dump(mode="json", exclude_none=True)))
    return [str(quote), "--anchors", str(anchors), "--checkpoint", CHECKPOINT, "--statement-key", KEY]


def test_a_quote_that_holds_says_who_holds_the_key_and_what_was_measured(files: list[str]) -> None:
    done = CliRunner().invoke(verify, [*files, "--nonce", NONCE, "--build", PROGRAM, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["custody"] == "software"
    assert PROGRAM in told["measured"]
    assert told["builds_checked"]


def test_another_program_is_told_and_a_program_that_nobody_named_is_said_to_be_unchecked(files: list[str]) -> None:
    done = CliRunner().invoke(verify, [*files, "--nonce", NONCE, "--build", KEY])
    assert done.exit_code == 20
    assert "NOT APPROVED" in done.output
    done = CliRunner().invoke(verify, [*files, "--nonce", NONCE])
    assert done.exit_code == 0
    assert "was not checked" in done.output


def test_a_replayed_quote_does_not_hold(files: list[str]) -> None:
    done = CliRunner().invoke(verify, [*files, "--nonce", "e" * 64])
    assert isinstance(done.exception, EvidenceError)
    assert done.exception.exit_code == 30
