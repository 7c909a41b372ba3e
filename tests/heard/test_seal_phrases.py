"""Code phrases: every form is the same phrase, slips are caught, and nothing else than a phrase is one."""

from __future__ import annotations

import unicodedata

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_scene import offices_of
from mnemonic import Mnemonic

from inspectorate.errors import InputError
from inspectorate.mechanisms.whistleblowing.intake.boards import Answer, make_board, read_board, replies_on
from inspectorate.mechanisms.whistleblowing.sealing.phrases import WORD_LISTS, Phrase, _bech32

LANGUAGES = ("en", "zh", "fr", "ru", "ar", "es")


@given(st.binary(min_size=16, max_size=16))
@settings(max_examples=25)
def test_every_form_is_the_same_phrase(entropy: bytes) -> None:
    phrase = Phrase(entropy)
    for language in LANGUAGES:
        shown = phrase.words(language)
        assert Phrase.parse(shown) == phrase
        assert Phrase.parse(f"\n {unicodedata.normalize('NFD', shown).upper()}\t") == phrase
    assert Phrase.parse("".join(phrase.words("zh").split())) == phrase
    assert Phrase.parse(phrase.digits().replace(" ", "-")) == phrase
    assert Phrase.parse(phrase.digits().translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))) == phrase


@pytest.mark.parametrize("language", WORD_LISTS)
def test_words_are_those_of_bip_39(language: str) -> None:
    entropy = bytes(range(16))
    official = Mnemonic(WORD_LISTS[language]).to_mnemonic(entropy)
    assert unicodedata.normalize("NFKD", Phrase(entropy).words(language)) == unicodedata.normalize("NFKD", official)


def test_accents_may_be_left_out() -> None:
    phrase = Phrase(bytes(range(100, 116)))
    for language in ("fr", "es"):
        plain = unicodedata.normalize("NFD", phrase.words(language))
        assert Phrase.parse("".join(one for one in plain if not unicodedata.combining(one))) == phrase


@given(st.binary(min_size=16, max_size=16), st.integers(0, 41), st.integers(1, 9))
@settings(max_examples=25)
def test_one_wrong_digit_is_always_caught(entropy: bytes, place: int, step: int) -> None:
    digits = list(Phrase(entropy).digits().replace(" ", ""))
    digits[place] = str((int(digits[place]) + step) % 10)
    with pytest.raises(InputError, match="no code phrase"):
        Phrase.parse("".join(digits))


def test_one_wrong_word_passes_once_in_sixteen() -> None:
    words = Phrase(bytes(range(16))).words("en").split()
    passed = 0
    for other in Mnemonic("english").wordlist:
        try:
            Phrase.parse(" ".join([other, *words[1:]]))
        except InputError:
            continue
        passed += 1
    assert 80 <= passed <= 180


@given(st.text(max_size=600))
@settings(max_examples=30)
def test_anything_else_is_refused_in_words(text: str) -> None:
    with pytest.raises(InputError):
        Phrase.parse(text)


def test_a_phrase_does_not_print() -> None:
    assert "entropy" not in repr(Phrase(bytes(16)))


def test_the_identity_is_one_that_age_reads_and_each_intake_has_its_own() -> None:
    phrase = Phrase(bytes(range(16)))
    mailbox = phrase.mailbox("here")
    sealed = pyrage.encrypt(b"hello", [pyrage.x25519.Recipient.from_str(mailbox.recipient)])
    assert pyrage.decrypt(sealed, [phrase.identity("here")]) == b"hello"
    assert phrase.mailbox("there").recipient != mailbox.recipient
    assert phrase.mailbox("there").key != mailbox.key


def test_keys_are_written_as_age_writes_them() -> None:
    identity = pyrage.x25519.Identity.generate()
    text = str(identity).lower()
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    bits = "".join(f"{alphabet.index(one):05b}" for one in text.rpartition("1")[2][:-6])
    raw = bytes(int(bits[at : at + 8], 2) for at in range(0, 256, 8))
    assert _bech32("age-secret-key-", raw) == text


# --- boards ----------------------------------------------------------------------------------------------------------------


def test_a_board_has_one_size_and_only_the_source_finds_its_replies() -> None:
    listed, held = offices_of()
    source, other = Phrase.make(), Phrase.make()
    mailbox = source.mailbox("house")
    answers = [Answer(mailbox, "first"), Answer(mailbox, "second, 第二")]
    full = make_board("house", "office-1", 1, answers, held[1].key)
    empty = make_board("house", "office-1", 1, [], held[1].key)
    assert len(full) == len(empty)
    read = read_board(full, "house", listed, where="board")
    assert [one.text for one in replies_on(read, source)] == ["first", "second, 第二"]
    assert replies_on(read, other) == []
    assert replies_on(read_board(empty, "house", listed, where="board"), source) == []


def test_the_same_source_cannot_be_found_on_two_boards() -> None:
    listed, held = offices_of()
    answer = [Answer(Phrase.make().mailbox("house"), "x")]
    tags = []
    for sequence in (1, 2):
        _, places = read_board(
            make_board("house", "office-0", sequence, answer, held[0].key), "house", listed, where="b"
        )
        tags.append({places[at : at + 16] for at in range(0, len(places), 4096)})
    assert not tags[0] & tags[1]


@pytest.mark.parametrize("place", [0, 200, 5000, 400_000])
def test_a_board_that_was_changed_is_refused(place: int) -> None:
    listed, held = offices_of()
    data = bytearray(make_board("house", "office-0", 1, [], held[0].key))
    data[place] ^= 1
    with pytest.raises(Exception, match=r"office|JSON|canonical|places"):
        read_board(bytes(data), "house", listed, where="board")


def test_a_reply_that_is_too_long_is_refused() -> None:
    _, held = offices_of()
    with pytest.raises(InputError, match="longer"):
        make_board("house", "office-0", 1, [Answer(Phrase.make().mailbox("house"), "x" * 5000)], held[0].key)
