"""`inspectorate guard verify`: what a quote shows, on the verifier's own machine and without a TPM."""

from __future__ import annotations

from pathlib import Path

import click

from inspectorate.cli.options import EXISTING_FILE, anchors_option, json_option, now, print_json
from inspectorate.errors import EvidenceError
from inspectorate.files import read_bounded
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.guarantee.attestation.quote import QuotePayload
from inspectorate.mechanisms.guarantee.attestation.reference import QUOTE_BYTES
from inspectorate.mechanisms.guarantee.attestation.verify import VerifiedQuote, VerifiedTpmQuote, approval, verify_quote

NOT_APPROVED = 20
"""Exit code of a quote that holds, of a program or a boot that was not named."""


@click.command()
@click.argument("quote_path", metavar="QUOTE", type=EXISTING_FILE)
@anchors_option
@click.option("--nonce", required=True, help="The nonce that the quote has to answer.")
@click.option(
    "--checkpoint", required=True, help="Digest of the checkpoint that it has to be over, as `guard attest` printed it."
)
@click.option("--statement-key", required=True, help="Key id of the processor's key of statements.")
@click.option("--build", "builds", multiple=True, help="A program that may run, sha256:...; none: not checked.")
@click.option("--boot", "boots", multiple=True, help="What may be measured before it, sha256:...; none: not checked.")
@json_option
def verify(
    quote_path: Path,
    anchors_path: Path,
    nonce: str,
    checkpoint: str,
    statement_key: str,
    builds: tuple[str, ...],
    boots: tuple[str, ...],
    as_json: bool,
) -> None:
    """Verify QUOTE against the platforms in the reviewer's anchors.

    Exits 0 if it holds, 20 if another program or boot was measured than those named, 30 if it does not hold.
    """
    payload = QuotePayload.decode(read_bounded(quote_path, QUOTE_BYTES, too_large=EvidenceError), where=str(quote_path))
    quote = verify_quote(
        payload,
        checkpoint=checkpoint,
        statement_key=statement_key,
        challenge=nonce,
        platforms=TrustAnchors.read(anchors_path).platforms,
        at=now(),
    )
    found = approval(quote, builds=frozenset(builds), boots=frozenset(boots))
    if as_json:
        print_json({**_told(quote), "builds_checked": found.builds_checked, "problems": list(found.problems)})
    else:
        for name, value in _told(quote).items():
            click.echo(f"{name.replace('_', ' ')}: {value}")
        for problem in found.problems:
            click.echo(f"NOT APPROVED: {problem}")
        if not found.builds_checked:
            click.echo("which program may run was not checked: name it with --build")
    if found.problems:
        raise SystemExit(NOT_APPROVED)


def _told(quote: VerifiedQuote) -> dict[str, object]:
    told: dict[str, object] = {"custody": quote.custody.value, "device": quote.device_id}
    if isinstance(quote, VerifiedTpmQuote):
        told |= {
            "platform": quote.anchor,
            "firmware_version": quote.firmware,
            "boot": quote.boot,
            "clock_ms": quote.clock.clock_ms,
            "machine_starts": quote.clock.resets,
        }
    return told | {"measured": ", ".join(f"{name} {digest}" for name, digest in quote.measured)}
