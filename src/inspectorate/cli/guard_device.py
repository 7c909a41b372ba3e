"""`inspectorate guard device`: the TPM of a guarantee processor, and the ceremony in which a verifier certifies its key.

The operator runs `init`, `ek`, `answer` and `show` on the processor's machine; the verifier runs `root`, `challenge` and
`certify` on its own, which needs no TPM. Between them go files.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from inspectorate.canonical import Record, parse_canonical
from inspectorate.cli.options import EXISTING_FILE, NEW_PATH, json_option, now, print_json, write_text
from inspectorate.errors import EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.mechanisms.guarantee.attestation import enrol
from inspectorate.mechanisms.guarantee.attestation.authority import Authority, read_certificates
from inspectorate.mechanisms.guarantee.attestation.chain import parse_certificate
from inspectorate.mechanisms.guarantee.attestation.device import Device
from inspectorate.mechanisms.guarantee.attestation.files import write_secret
from inspectorate.mechanisms.guarantee.attestation.software import SoftwareDevice
from inspectorate.mechanisms.guarantee.attestation.start import this_program
from inspectorate.mechanisms.guarantee.attestation.tpm import activate
from inspectorate.mechanisms.guarantee.attestation.tpm.client import NO_PASSWORD, Auth, Client, Hierarchies
from inspectorate.mechanisms.guarantee.attestation.tpm.commands import Tpm
from inspectorate.mechanisms.guarantee.attestation.tpm.device import CERTIFICATES_NAME, TpmDevice
from inspectorate.mechanisms.guarantee.attestation.tpm.provision import ENDORSEMENTS, provision
from inspectorate.mechanisms.guarantee.attestation.verify import named_device

_FILE_BYTES_MAX = 64 * 1024
_PASSWORD_BYTES_MAX = 64
R = TypeVar("R", bound=Record)

tpm_option = click.option(
    "--tpm", "tpm_name", required=True, metavar="TPM", help="/dev/tpmrm0, or swtpm:HOST:PORT for a software TPM."
)
folder_option = click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="The processor's folder: log of measurements, certificates.",
)
out_option = click.option("--out", type=NEW_PATH, required=True, help="File to write.")
kind_option = click.option(
    "--kind", type=click.Choice(sorted(ENDORSEMENTS)), default="rsa", show_default=True, help="Which endorsement key."
)
password_options = (
    click.option(
        "--owner-password", type=EXISTING_FILE, help="File with the password of the owner hierarchy, if it has one."
    ),
    click.option("--endorsement-password", type=EXISTING_FILE, help="The same of the endorsement hierarchy."),
)
days_option = click.option("--days", type=click.IntRange(1, 36_500), default=365, show_default=True, help="Valid for.")


def passwords(command: Callable[..., None]) -> Callable[..., None]:
    """Options for the passwords of a TPM's hierarchies, passed on as one `hierarchies`."""

    @functools.wraps(command)
    def wrapped(*, owner_password: Path | None, endorsement_password: Path | None, **options: object) -> None:
        command(
            hierarchies=Hierarchies(owner=_auth(owner_password), endorsement=_auth(endorsement_password)), **options
        )

    for option in reversed(password_options):
        wrapped = option(wrapped)
    return wrapped


def _auth(path: Path | None) -> Auth:
    return Auth(read_bounded(path, _PASSWORD_BYTES_MAX).removesuffix(b"\n")) if path else NO_PASSWORD


@click.group()
def device() -> None:
    """The TPM of a guarantee processor, and the certification of its key."""


@device.command()
@tpm_option
@passwords
@json_option
def init(tpm_name: str, hierarchies: Hierarchies, as_json: bool) -> None:
    """Make the attestation key and the counter in the TPM, where they are not there."""
    with Client.open(tpm_name) as client:
        tpm = Tpm(client)
        tpm.startup()
        public = provision(tpm, hierarchies)
        told = {
            "device": f"sha256:{public.name[2:].hex()}",
            "firmware_version": tpm.firmware,
            "maker": tpm.manufacturer,
        }
    if as_json:
        print_json(told)
    else:
        click.echo(f"device {told['device']}\nfirmware {told['firmware_version']:#018x} of {told['maker']}")


@device.command()
@tpm_option
@kind_option
@click.option("--certificate", type=EXISTING_FILE, help="The maker's certificate (DER or PEM), if the TPM holds none.")
@passwords
@out_option
def ek(tpm_name: str, kind: str, certificate: Path | None, hierarchies: Hierarchies, out: Path) -> None:
    """Say who this TPM is: its endorsement key with the maker's certificate, and its attestation key. For the verifier."""
    given = _certificate(certificate) if certificate else None
    with Client.open(tpm_name) as client:
        tpm = Tpm(client)
        tpm.startup()
        told = activate.identity(tpm, kind, given, hierarchies)
    write_text(out, told.canonical_bytes())
    click.echo(f"device {told.device_id}\nwrote {out}; carry it to the verifier")


@device.command()
@click.option("--name", required=True, help="Common name of the root.")
@click.option("--days", type=click.IntRange(1, 36_500), default=3650, show_default=True, help="Valid for.")
@click.option("--key", "key_path", type=NEW_PATH, required=True, help="File for its private key. Keep it offline.")
@out_option
def root(name: str, days: int, key_path: Path, out: Path) -> None:
    """Make the verifier's own root for keys of TPMs."""
    made = Authority.create(name, at=now().replace(microsecond=0), valid=timedelta(days=days))
    made.write_key(key_path)
    write_text(out, made.pem)
    click.echo(f"wrote {out}: name it under `platforms` in the reviewer's anchors")


@device.command()
@click.argument("identity", type=EXISTING_FILE)
@click.option("--ek-roots", type=EXISTING_FILE, required=True, help="Roots of makers of TPMs that you trust (PEM).")
@click.option("--ek-intermediates", type=EXISTING_FILE, help="Certificates between them and endorsement keys (PEM).")
@click.option("--keep", type=NEW_PATH, required=True, help="File for what you keep until `certify`. It holds a secret.")
@out_option
def challenge(identity: Path, ek_roots: Path, ek_intermediates: Path | None, keep: Path, out: Path) -> None:
    """Check a TPM's IDENTITY, and make a secret that only it can open. Exits 30 if the identity does not hold."""
    asked, pending = enrol.challenge(
        _read(enrol.DeviceIdentity, identity),
        roots=read_certificates(ek_roots),
        intermediates=read_certificates(ek_intermediates) if ek_intermediates else (),
        at=now(),
        random=os.urandom,
    )
    write_secret(keep, pending.canonical_bytes())
    write_text(out, asked.canonical_bytes())
    click.echo(
        f"device {pending.identity.device_id}: the maker's certificate holds\nwrote {out}; carry it to the device"
    )


@device.command()
@click.argument("challenge_path", metavar="CHALLENGE", type=EXISTING_FILE)
@tpm_option
@folder_option
@kind_option
@passwords
@out_option
def answer(challenge_path: Path, tpm_name: str, folder: Path, kind: str, hierarchies: Hierarchies, out: Path) -> None:
    """Open the verifier's CHALLENGE in this TPM, and answer it."""
    asked = _read(enrol.Challenge, challenge_path)
    with contextlib.closing(TpmDevice.open(tpm_name, folder)) as made:
        answered = activate.answer(made.tpm, made, asked, kind, hierarchies)
    write_text(out, answered.canonical_bytes())
    click.echo(f"wrote {out}; carry it to the verifier")


@device.command()
@click.argument("answer_path", metavar="ANSWER", type=EXISTING_FILE)
@click.option("--keep", type=EXISTING_FILE, required=True, help="What `challenge` kept.")
@click.option("--root", "root_path", type=EXISTING_FILE, required=True, help="Your root (PEM).")
@click.option("--root-key", type=EXISTING_FILE, required=True, help="Its private key.")
@click.option("--name", required=True, help="Name of the processor in its certificate.")
@days_option
@out_option
@json_option
def certify(**options: object) -> None:
    """Check an ANSWER, and certify the attestation key. Exits 30 if the answer does not hold."""
    paths = {name: value for name, value in options.items() if isinstance(value, Path)}
    days = options["days"]
    assert isinstance(days, int)
    found = enrol.certify(
        _read(enrol.Answer, paths["answer_path"]),
        _read(enrol.Pending, paths["keep"]),
        authority=Authority.read(paths["root_key"], paths["root_path"]),
        name=str(options["name"]),
        at=now().replace(microsecond=0),
        valid=timedelta(days=days),
    )
    write_text(paths["out"], found.pem)
    told = {
        "device": found.device_id,
        "firmware_version": found.info.firmware,
        "starts": found.info.clock.resets,
        "boot": found.boot,
    }
    if options["as_json"]:
        print_json(told)
        return
    click.echo(
        f"device {found.device_id}\nfirmware {found.info.firmware:#018x}\nstarted {found.info.clock.resets} times"
    )
    click.echo(
        f"boot {found.boot}\nwrote {paths['out']}; the operator puts it into the processor's folder as {CERTIFICATES_NAME}"
    )


@device.command()
@click.option("--tpm", "tpm_name", metavar="TPM", help="The TPM; without it, the device in software of the folder.")
@folder_option
@json_option
def show(tpm_name: str | None, folder: Path, as_json: bool) -> None:
    """Print the device of a folder: its identity, its certificates, its counter, and what was measured."""
    opened: Device = TpmDevice.open(tpm_name, folder) if tpm_name else SoftwareDevice.existing(folder)
    with contextlib.closing(opened):
        told = {
            "device": opened.device_id,
            "custody": opened.custody.value,
            "counter": opened.counter(),
            "counter_survives_a_restored_disk": opened.protects_counter,
            "certificates": [_told(x509.load_der_x509_certificate(one)) for one in opened.certificates],
            "measured": [{"name": name, "digest": digest} for name, digest in opened.measured],
        }
    if as_json:
        print_json(told)
        return
    click.echo(f"device {opened.device_id}, key held in {opened.custody.value}")
    click.echo(f"counter {told['counter']}{'' if opened.protects_counter else ', which a restored disk takes back'}")
    for one in opened.certificates:
        told_of = _told(x509.load_der_x509_certificate(one))
        click.echo(f"certified as {told_of['subject']} by {told_of['issuer']} until {told_of['until']}")
    if not opened.certificates:
        click.echo("not certified")
    for name, digest in opened.measured:
        click.echo(f"measured {name} {digest}")


@device.command()
@click.option("--files", is_flag=True, help="Also every file that it covers.")
@json_option
def program(files: bool, as_json: bool) -> None:
    """Print the digest of this program, as the processor measures it and an agreement names it."""
    found = this_program()
    if as_json:
        told: dict[str, object] = {
            "digest": found.digest,
            "interpreter": found.interpreter,
            "libraries": dict(found.libraries),
        }
        print_json({**told, "files": dict(found.files)} if files else told)
        return
    click.echo(found.digest)
    for path, digest in found.files.items() if files else ():
        click.echo(f"{digest} {path}")


def _told(certificate: x509.Certificate) -> dict[str, str]:
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "device": named_device(certificate) or "",
        "until": certificate.not_valid_after_utc.isoformat(),
    }


def _certificate(path: Path) -> bytes:
    """A certificate in DER or PEM, as DER."""
    data = read_bounded(path, _FILE_BYTES_MAX)
    if data.lstrip().startswith(b"-----BEGIN"):
        return read_certificates(path)[0].public_bytes(Encoding.DER)
    try:
        return parse_certificate(data).public_bytes(Encoding.DER)
    except ValueError as fault:
        raise InputError(f"is no certificate: {fault}", where=str(path)) from None


def _read(record: type[R], path: Path) -> R:
    """A file of the ceremony, in its canonical form. Raises `EvidenceError`: it came from the other side."""
    value = parse_canonical(read_bounded(path, _FILE_BYTES_MAX, too_large=EvidenceError), where=str(path))
    return record.parse(value, where=str(path), error=EvidenceError)
