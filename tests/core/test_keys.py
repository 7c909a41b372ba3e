"""Keys and trust anchors: how they are kept, what they may sign, and what is refused."""

from __future__ import annotations

import base64
import contextlib
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.keys import PublicKey, Role, SigningKey, TrustAnchor, TrustAnchors, distinct_signers, parse_yaml

KEY = SigningKey(b"\1" * 32)
OTHER = SigningKey(b"\2" * 32)
START = datetime(2026, 1, 1, tzinfo=UTC)

GOOD: dict[str, Any] = {
    "anchors": [
        {
            "name": "gateway", "public_key": base64.b64encode(KEY.public.raw).decode(), "holder": "verifier",
            "roles": ["sensor"], "sensors": ["flow-a"], "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z",
        }
    ],
    "ledgers": [{"origin": "log.example", "key": "log.example+00000000+AAAA", "witnesses": ["w+1+A"], "witnesses_min": 1}],
}  # fmt: skip


# --- signing keys ------------------------------------------------------------------------------------------------------


def test_the_first_vector_of_rfc_8032() -> None:
    """RFC 8032, section 7.1, TEST 1."""
    key = SigningKey(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert key.public.raw.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    signature = key.sign(b"")
    assert signature.hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert key.public.verifies(signature, b"")
    assert not key.public.verifies(signature, b"x")
    assert not key.public.verifies(b"", b"")


def test_a_key_is_named_by_its_bytes() -> None:
    assert KEY.key_id == PublicKey(KEY.public.raw).key_id
    assert KEY.key_id.startswith("sha256:")
    assert KEY.key_id != OTHER.key_id


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_keys_of_another_length_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        PublicKey(bytes(size))
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey(bytes(size))


def test_a_key_file_is_its_owners_only_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    KEY.write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.read(path).seed == KEY.seed
    loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert loaded.public_key().public_bytes_raw() == KEY.public.raw  # type: ignore[union-attr]


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    KEY.write(path)
    with pytest.raises(EnvironmentError_, match=r"key\.pem: cannot write the key"):
        OTHER.write(path)
    assert SigningKey.read(path).seed == KEY.seed


def test_a_key_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentError_):
        KEY.write(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_in_a_folder_that_is_not_there_is_the_machines_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentError_):
        KEY.write(tmp_path / "nowhere" / "key.pem")


def pem(key: Any, password: bytes | None = None) -> bytes:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    data: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    return data


UNKNOWN_KIND = b"".join(
    (
        b"-----BEGIN PRIVATE KEY-----\n",
        base64.b64encode(bytes.fromhex("300f0201003005060329030103040100")),
        b"\n-----END PRIVATE KEY-----\n",
    )
)
UNREADABLE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"not a key",
    "binary": lambda: bytes(range(256)),
    "a PEM frame with nothing in it": lambda: b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
    "a PEM frame with noise in it": lambda: b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "an RSA key": lambda: pem(rsa.generate_private_key(65537, 2048)),
    "an elliptic-curve key": lambda: pem(ec.generate_private_key(ec.SECP256R1())),
    "a key under a password": lambda: pem(KEY._key, b"secret"),
    "a public key": lambda: KEY._key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ),
    "a key of an unknown kind": lambda: UNKNOWN_KIND,
}  # fmt: skip


@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_signing_key_is_refused_by_name(make: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(make())
    with pytest.raises(InputError, match=r"key\.pem: "):
        SigningKey.read(path)


def test_a_key_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.pem: cannot be read"):
        SigningKey.read(tmp_path / "nowhere.pem")


# --- trust anchors -----------------------------------------------------------------------------------------------------


def read(value: object, tmp_path: Path) -> TrustAnchors:
    path = tmp_path / "anchors.yaml"
    path.write_text(yaml.safe_dump(value) if not isinstance(value, str) else value)
    return TrustAnchors.read(path)


def edited(edit: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    value = {"anchors": [dict(GOOD["anchors"][0])], "ledgers": [dict(GOOD["ledgers"][0])]}
    edit(value)
    return value


def first(**changes: Any) -> dict[str, Any]:
    return edited(lambda v: v["anchors"][0].update(changes))


def test_anchors_are_read(tmp_path: Path) -> None:
    anchors = read(GOOD, tmp_path)
    found = anchors.by_key_id(KEY.key_id)
    assert found is not None
    assert found.name == "gateway"
    assert found.key.raw == KEY.public.raw
    assert anchors.by_key_id(OTHER.key_id) is None
    assert anchors.by_key_id("") is None


@pytest.mark.parametrize(
    ("role", "after", "may"),
    [
        (Role.SENSOR, timedelta(0), True),
        (Role.SENSOR, timedelta(days=364), True),
        (Role.SENSOR, timedelta(days=365), False),
        (Role.SENSOR, -timedelta(microseconds=1), False),
        (Role.BUNDLE, timedelta(0), False),
    ],
    ids=["from the start", "to the end", "not at the end", "not before", "not in another role"],
)
def test_a_key_may_sign_in_its_roles_and_its_time(role: Role, after: timedelta, may: bool) -> None:
    anchor = TrustAnchor.model_validate(GOOD["anchors"][0])
    assert anchor.may(role, START + after) is may


BAD_ANCHORS = {
    "no anchors": (edited(lambda v: v.update(anchors=[])), "anchors"),
    "an unknown field": (first(colour="red"), "colour"),
    "no role": (first(roles=[], sensors=[]), "roles"),
    "an unknown role": (first(roles=["king"]), "roles"),
    "an unknown holder": (first(holder="nobody"), "holder"),
    "a key of 31 bytes": (first(public_key=base64.b64encode(bytes(31)).decode()), "must be base64 of 32 bytes"),
    "a key that is not base64": (first(public_key="no key"), "public_key"),
    "a key in hex": (first(public_key=KEY.public.raw.hex()), "public_key"),
    "a key in another script": (first(public_key="ä" * 44), "public_key"),
    "a key in base64 for URLs": (first(public_key="-_" + "A" * 41 + "="), "public_key"),
    "valid backwards": (first(valid_until="2025-01-01T00:00:00Z"), "valid_until must come after"),
    "valid for no time": (first(valid_until="2026-01-01T00:00:00Z"), "valid_until must come after"),
    "a time without a zone": (first(valid_from="2026-01-01T00:00:00"), "time zone"),
    "a time beyond the calendar": (first(valid_until="9999-12-31T23:59:59-14:00"), "between the years"),
    "sensors without the role": (first(roles=["bundle"]), "sensors are named"),
    "a sensor that is no identifier": (first(sensors=["../flow"]), "sensors"),
    "one key under two names": (
        edited(lambda v: v["anchors"].append({**v["anchors"][0], "name": "other"})), "one key appears under two anchors",
    ),
    "one name for two keys": (
        edited(lambda v: v["anchors"].append({**v["anchors"][0], "public_key": base64.b64encode(OTHER.public.raw).decode()})),
        "one name is given to two anchors",
    ),
    "more witnesses asked for than named": (
        edited(lambda v: v["ledgers"][0].update(witnesses_min=2)), "asks for more witnesses than it names",
    ),
    "one witness named twice": (
        edited(lambda v: v["ledgers"][0].update(witnesses=["w+1+A", "w+1+A"], witnesses_min=2)), "asks for more witnesses",
    ),
    "a negative number of witnesses": (edited(lambda v: v["ledgers"][0].update(witnesses_min=-1)), "witnesses_min"),
    "not YAML": ("anchors: [", "not YAML"),
    "a repeated key": ("anchors: []\nanchors: []\n", "'anchors' repeats"),
    "aliases": ("anchors: &a []\nledgers: *a\n", "aliases"),
    "a scalar": ("hello", "dictionary"),
    "too large": ("# " + "x" * 1024 * 1024, "more than 1048576"),
}  # fmt: skip


@pytest.mark.parametrize(("value", "problem"), BAD_ANCHORS.values(), ids=BAD_ANCHORS)
def test_bad_anchors_are_refused_by_name(value: object, problem: str, tmp_path: Path) -> None:
    if isinstance(value, dict):
        value = yaml.dump(value, Dumper=_NoAliases)
    with pytest.raises(InputError) as caught:
        read(value, tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "anchors.yaml"))
    assert problem in str(caught.value)


class _NoAliases(yaml.SafeDumper):
    """Writes every value out."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


# --- YAML --------------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"#%@,? \n\t0~", max_size=60).map(str.encode))
def test_any_bytes_are_yaml_or_an_input_error(data: bytes) -> None:
    with contextlib.suppress(InputError):
        parse_yaml(data, where="x", bytes_max=1000)


@pytest.mark.parametrize(
    ("data", "where", "problem"),
    [
        (b"a: 1\nb: [\nc: 2\n", "x:", "not YAML"),
        (b"a: 1\nb:\n  c: 1\n  c: 2\n", "x:4", "'c' repeats"),
        (b"a: &a 1\nb:\n  - *a\n", "x:3", "aliases"),
        (b"? [a]\n: 1\n", "x:1", "not YAML"),
        (b"a: !!binary 'abc'\n", "x", "not YAML"),
        (b"a: !mine 1\n", "x:1", "not YAML"),
        (b"a: 1\x07\n", "x", "not YAML"),
    ],
    ids=["syntax", "a repeated key", "an alias", "a key that is a list", "broken base64", "a tag of its own", "a bell"],
)
def test_faults_of_yaml_are_named_with_their_line(data: bytes, where: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(data, where="x", bytes_max=1000)
    assert str(caught.value).startswith(where)
    assert problem in str(caught.value)


def test_one_key_in_two_mappings_is_no_repetition() -> None:
    assert parse_yaml(b"a: {x: 1}\nb: {x: 2}\n", where="x", bytes_max=100) == {"a": {"x": 1}, "b": {"x": 2}}


# --- quorums -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)))
def test_a_quorum_counts_distinct_trusted_keys(signed: list[int], trusted: list[int]) -> None:
    found = distinct_signers([f"sha256:{i}" for i in signed], [f"sha256:{i}" for i in trusted])
    assert len(found) == sum(i in signed and i in trusted for i in range(6))
