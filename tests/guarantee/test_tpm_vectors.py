"""Golden quotes of a real TPM and forged ones, against the verifier: no TPM is needed here."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from tpm_forging import Forger, Terms
from tpm_forging import root as make_root
from tpm_reading import GOLDEN, VECTORS, Vector, outcome, verified

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import KeyCustody
from inspectorate.keys import PlatformAnchor
from inspectorate.mechanisms.guarantee.attestation.measured import Measured, replay
from inspectorate.mechanisms.guarantee.attestation.quote import QuotePayload, bound_of
from inspectorate.mechanisms.guarantee.attestation.reference import MEASURED_MAX, QUOTE_BYTES
from inspectorate.mechanisms.guarantee.attestation.verify import (
    Platforms,
    QuoteFault,
    RejectedQuote,
    VerifiedQuote,
    VerifiedSoftwareQuote,
    VerifiedTpmQuote,
    approval,
    check_sequence,
    platforms_of,
    verify_quote,
    verify_tpm_quote,
)

DAY = timedelta(days=1)


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_vectors_come_out_as_expected(vector: Vector) -> None:
    assert outcome(vector) == vector.expect


def test_the_vectors_cover_every_outcome_and_no_other() -> None:
    closed = {"verified", "undecodable", *(fault.value for fault in QuoteFault)}
    assert {vector.expect for vector in VECTORS.values()} == closed


def test_what_a_quote_tells() -> None:
    quote = verified(GOLDEN)
    assert isinstance(quote, VerifiedTpmQuote)
    assert quote.custody is KeyCustody.TPM
    assert quote.anchor == "root"
    assert quote.firmware == 0x2019_1023_0016_3636
    assert quote.measured[0] == ("build", "sha256:" + "01" * 32)
    assert quote.device_id == digest_of(GOLDEN.payload.public)
    assert quote.digests("ruleset") == {"sha256:" + "03" * 32}
    assert quote.clock.safe


def test_only_the_verifier_builds_a_verified_quote() -> None:
    for kind in (VerifiedQuote, VerifiedSoftwareQuote):
        with pytest.raises(TypeError):
            kind(device_id="sha256:" + "00" * 32, bound=b"", signature=b"", log=(), witness=None)
    with pytest.raises(TypeError):
        replace(verified(GOLDEN), witness=object())


# --- mutations ---------------------------------------------------------------------------------------------------------


def content(vector: Vector) -> int:
    """Length of a payload without the zeros at its end."""
    return len(vector.data.rstrip(b"\0"))


@pytest.mark.parametrize("name", ["golden", "golden-rsapss", "golden-intermediate", "software"])
def test_no_flipped_bit_of_any_byte_verifies(name: str) -> None:
    vector = VECTORS[name]
    platforms = Platforms([vector.anchor])
    assert outcome(vector, platforms=platforms) == "verified"
    for place in range(content(vector)):
        data = bytearray(vector.data)
        data[place] ^= 1 << (place * 5 % 8)
        assert outcome(vector, bytes(data), platforms) != "verified", f"byte {place}"


@given(place=st.integers(0, QUOTE_BYTES - 1), bits=st.integers(1, 255), name=st.sampled_from(sorted(VECTORS)))
def test_no_changed_byte_makes_anything_verify(place: int, bits: int, name: str) -> None:
    vector = VECTORS[name]
    if place >= len(vector.data):
        return
    data = bytearray(vector.data)
    data[place] ^= bits
    assert outcome(vector, bytes(data)) != "verified" or (vector.expect != "verified" and bytes(data) == GOLDEN.data)


@given(st.binary(max_size=600), st.integers(0, 1500))
def test_spliced_bytes_never_verify_nor_end_in_a_traceback(inserted: bytes, place: int) -> None:
    data = (GOLDEN.data[:place] + inserted + GOLDEN.data[place:])[:QUOTE_BYTES]
    if data != GOLDEN.data:
        assert outcome(GOLDEN, data) != "verified"


def parts(payload: QuotePayload) -> dict[str, object]:
    return {
        name: getattr(payload, name) for name in ("attested", "signature", "public", "certificates", "platform", "log")
    }


@pytest.mark.parametrize("part", ["attested", "signature", "public", "certificates"])
def test_no_part_of_another_true_quote_fits(part: str) -> None:
    """Two quotes of one device, each true, with one part exchanged."""
    for other in ("golden-later", "golden-after-start", "golden-rsassa", "golden-intermediate"):
        mixed = replace(GOLDEN.payload, **{part: parts(VECTORS[other].payload)[part]})
        if mixed == GOLDEN.payload or (part == "certificates" and other == "golden-intermediate"):
            continue
        assert outcome(GOLDEN, mixed.encode()) != "verified", other


# --- the payload -------------------------------------------------------------------------------------------------------

names = st.sampled_from(["build", "builds", "b", "ruleset", "a.b-c_d", "x" * 24])
digests = st.integers(0, 255).map(lambda number: bytes([number]) * 32)
logs = st.lists(st.builds(Measured, name=names, digest=digests), max_size=6)


@given(
    custody=st.sampled_from(KeyCustody),
    attested=st.binary(max_size=512),
    certificates=st.lists(st.binary(max_size=1000), max_size=3),
    whole=st.booleans(),
    log=logs,
)
def test_payloads_come_back_from_one_form_of_one_length(
    custody: KeyCustody, attested: bytes, certificates: list[bytes], whole: bool, log: list[Measured]
) -> None:
    payload = QuotePayload(
        custody=custody,
        attested=attested,
        signature=attested[:64],
        public=attested[:90],
        certificates=tuple(certificates),
        platform=(b"\x07" * 32,) * 13 if whole else (),
        log=tuple(log),
    )
    data = payload.encode()
    assert len(data) == QUOTE_BYTES
    assert QuotePayload.decode(data, where="test") == payload


@given(st.binary(max_size=400))
def test_what_decodes_has_no_other_form(data: bytes) -> None:
    data = (b"INSPQUO1" + data).ljust(QUOTE_BYTES, b"\0")
    try:
        payload = QuotePayload.decode(data, where="test")
    except EvidenceError:
        return
    assert payload.encode() == data


def test_the_fullest_payload_fits() -> None:
    log = tuple(Measured(name=f"{number:024}", digest=bytes([number]) * 32) for number in range(MEASURED_MAX))
    full = replace(
        GOLDEN.payload, attested=b"a" * 512, signature=b"s" * 600, public=b"p" * 600, certificates=(b"c" * 3072,)
    )
    assert len(replace(full, log=log).encode()) == QUOTE_BYTES


def test_what_is_bound_depends_on_each_part() -> None:
    one, two = "sha256:" + "01" * 32, "sha256:" + "02" * 32
    made = {bound_of(a, b, c) for a in (one, two) for b in (one, two) for c in (None, "01" * 32, "02" * 32)}
    assert len(made) == 12
    with pytest.raises(ValueError, match="no digest"):
        bound_of("sha256:" + "01" * 31, one, None)


def test_the_front_door_takes_both_kinds() -> None:
    checkpoint, key, nonce = "sha256:" + "c1" * 32, "sha256:" + "4e" * 32, "0a" * 32
    for name, custody in (("golden", KeyCustody.TPM), ("software", KeyCustody.SOFTWARE)):
        quote = verify_quote(
            VECTORS[name].payload,
            checkpoint=checkpoint,
            statement_key=key,
            challenge=nonce,
            platforms=[GOLDEN.anchor],
            at=GOLDEN.at,
        )
        assert quote.custody is custody


# --- measured log ------------------------------------------------------------------------------------------------------


@given(logs, logs)
def test_different_logs_replay_to_different_values(one: list[Measured], two: list[Measured]) -> None:
    assert (replay(one) == replay(two)) == (one == two)


@pytest.mark.parametrize("name", ["", "A", "a b", "a" * 25, "-a", "ä", "a\n"])
def test_names_of_measurements_are_plain(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Measured(name=name, digest=bytes(32))


# --- approval, sequence, platforms -------------------------------------------------------------------------------------


def test_an_unapproved_build_is_named_and_none_is_not_fine() -> None:
    quote, good = verified(GOLDEN), frozenset({"sha256:" + "01" * 32})
    assert approval(quote, builds=good).problems == ()
    assert approval(quote, builds=good).builds_checked
    assert "not approved" in approval(quote, builds=frozenset({"sha256:" + "02" * 32})).problems[0]
    unchecked = approval(quote, builds=frozenset())
    assert not unchecked.builds_checked
    assert not unchecked.boots_checked


def test_a_machine_that_started_otherwise_is_named() -> None:
    quote = verified(GOLDEN)
    assert isinstance(quote, VerifiedTpmQuote)
    assert approval(quote, builds=frozenset(), boots=frozenset({quote.boot})).problems == ()
    wrong = approval(quote, builds=frozenset(), boots=frozenset({"sha256:" + "00" * 32}))
    assert "started otherwise" in wrong.problems[0]
    software = approval(verified(VECTORS["software"]), builds=frozenset(), boots=frozenset({quote.boot}))
    assert "not measured" in software.problems[0]


def test_a_quote_without_a_program_is_no_approved_one() -> None:
    forger, platforms, at = certified_forger()
    attested = forger.attested(b"\x05" * 32)
    payload = forger.payload(attested)
    named = replace(payload, log=tuple(replace(entry, name="other") for entry in payload.log))
    quote = verify_tpm_quote(payload, bound=b"\x05" * 32, platforms=platforms, at=at)
    assert approval(quote, builds=quote.digests("build")).problems == ()
    with pytest.raises(RejectedQuote):
        verify_tpm_quote(named, bound=b"\x05" * 32, platforms=platforms, at=at)


def certified_forger() -> tuple[Forger, Platforms, datetime]:
    """A forger whom an authority certified without looking: so any clock can be put into a quote that verifies."""
    at = datetime(2026, 11, 26, tzinfo=UTC)
    root = make_root("Root", at - DAY)
    forger = Forger.certified_by(root, Terms(at=at - DAY))
    pem = root.certificate.public_bytes(encoding=Encoding.PEM).decode()
    return forger, Platforms([PlatformAnchor(name="root", certificate=pem)]), at


def quotes(*clocks: tuple[int, int, int, int], firmware: tuple[int, ...] = ()) -> list[VerifiedQuote]:
    """Quotes with these (clock, resets, restarts, safe)."""
    forger, platforms, at = certified_forger()
    found: list[VerifiedQuote] = []
    for number, (clock_ms, resets, restarts, safe) in enumerate(clocks):
        bound = bytes([number]) * 32
        attested = replace(
            forger.attested(bound),
            clock_ms=clock_ms,
            resets=resets,
            restarts=restarts,
            safe=safe,
            firmware=firmware[number] if firmware else 1,
        )
        found.append(verify_tpm_quote(forger.payload(attested), bound=bound, platforms=platforms, at=at))
    return found


@pytest.mark.parametrize(
    ("clocks", "word"),
    [
        (((5, 1, 0, 1), (5, 1, 0, 1)), None),
        (((5, 1, 0, 1), (6, 1, 0, 1)), None),
        (((5, 1, 0, 1), (9, 2, 0, 1)), None),
        (((5, 1, 2, 1), (9, 2, 0, 1)), None),
        (((9, 1, 0, 1), (5, 2, 0, 0)), None),
        (((5, 1, 0, 1), (4, 1, 0, 1)), "clock"),
        (((5, 1, 0, 1), (4, 1, 0, 0)), "clock"),
        (((5, 1, 0, 1), (4, 2, 0, 1)), "clock"),
        (((5, 2, 0, 1), (6, 1, 0, 1)), "started"),
        (((5, 1, 1, 1), (6, 1, 0, 1)), "resumed"),
    ],
)
def test_clocks_and_counts_only_rise(clocks: tuple[tuple[int, int, int, int], ...], word: str | None) -> None:
    given = quotes(*clocks)
    problems = check_sequence(given)
    assert (problems == ()) == (word is None)
    assert word is None or word in problems[0]
    assert given[1].follows(given[0]) == (word is None)


def test_firmware_does_not_get_older() -> None:
    assert check_sequence(quotes((1, 1, 0, 1), (2, 1, 0, 1), firmware=(2, 3))) == ()
    assert "firmware" in check_sequence(quotes((1, 1, 0, 1), (2, 2, 0, 1), firmware=(3, 2)))[0]


def test_the_same_quote_again_follows_nothing() -> None:
    quote = verified(GOLDEN)
    assert "same quote" in check_sequence([quote, quote])[0]


def test_real_quotes_are_in_order_one_way_only() -> None:
    series = [verified(VECTORS[name]) for name in ("golden", "golden-later", "golden-after-start")]
    assert check_sequence(series) == ()
    assert check_sequence(reversed(series)) != ()
    assert "another device" in check_sequence([series[0], verified(VECTORS["golden-rsassa"])])[0]


def test_a_log_that_lost_an_entry_without_a_start_is_named() -> None:
    later, first = verified(VECTORS["golden-later"]), verified(GOLDEN)
    assert any("log lacks" in fault for fault in check_sequence([later, first]))


def test_platforms_remember_paths_but_not_beyond_their_validity() -> None:
    platforms = Platforms([GOLDEN.anchor])
    assert outcome(GOLDEN, platforms=platforms) == "verified"
    assert outcome(replace(GOLDEN, at=GOLDEN.at + 400 * DAY), platforms=platforms) == "uncertified"
    assert outcome(replace(GOLDEN, at=GOLDEN.at - 2 * DAY), platforms=platforms) == "uncertified"
    assert outcome(GOLDEN, platforms=platforms) == "verified"


def test_two_anchors_of_one_root_ask_for_the_newer_firmware() -> None:
    newer = replace_firmware(GOLDEN.anchor, 0x2019_1023_0016_3637)
    assert outcome(GOLDEN, platforms=Platforms([GOLDEN.anchor, newer])) == "old-firmware"
    assert outcome(GOLDEN, platforms=Platforms([newer, GOLDEN.anchor])) == "old-firmware"


def replace_firmware(anchor: PlatformAnchor, firmware: int) -> PlatformAnchor:
    return PlatformAnchor(name="newer", certificate=anchor.certificate, firmware_version_min=firmware)


def test_without_platforms_no_quote_of_a_tpm_holds() -> None:
    assert outcome(GOLDEN, platforms=Platforms([])) == "uncertified"


def test_an_anchor_that_is_no_certificate_is_the_reviewers_fault() -> None:
    with pytest.raises(InputError, match="platform bad"):
        platforms_of((PlatformAnchor(name="bad", certificate="-----BEGIN CERTIFICATE-----"),))
