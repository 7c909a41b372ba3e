"""The words of the pages: all in each language, the same placeholders, and nothing left in English."""

from __future__ import annotations

import re
import string
import unicodedata
from importlib import resources

import pytest
import yaml

from inspectorate.evidence.heard import Activity
from inspectorate.mechanisms.whistleblowing.web import pages
from inspectorate.mechanisms.whistleblowing.web.pages import LANGUAGES, Page, Protection, Trouble
from inspectorate.mechanisms.whistleblowing.web.pages.fields import Circle, Danger
from inspectorate.mechanisms.whistleblowing.web.pages.words import words_of

OTHERS = [language for language in LANGUAGES if language != "en"]
NAMES = {"Tor", "Browser", "age", "cookie", "Cookie", "bridge", "MB", "r"}
"""Latin words that stand in other scripts on purpose: names of programs, units, options."""
SCRIPT = {"zh": "CJK", "ru": "CYRILLIC", "ar": "ARABIC"}
SAME_IN = {("fr", "title.sent"), ("fr", "nav.pages")}
ENGLISH = frozenset(
    (
        *("the", "and", "of", "you", "your", "is", "are", "not", "with", "what", "who", "have", "has", "been", "this"),
        *("that", "it", "to", "was", "from", "only", "most", "into"),
    )
)
"""Words of English that neither French nor Spanish has ("a", "an", "on", "me", "no" they have)."""


def placeholders(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def test_no_key_stands_twice() -> None:
    """A YAML reader would silently take the last."""
    for language in LANGUAGES:
        text = resources.files(pages).joinpath("words", f"{language}.yaml").read_text(encoding="utf-8")
        node = yaml.compose(text)
        assert isinstance(node, yaml.MappingNode)
        for _, section in node.value:
            keys = [key.value for key, _ in section.value]
            assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("language", OTHERS)
def test_same_keys_and_placeholders(language: str) -> None:
    english, other = words_of("en"), words_of(language)
    assert list(other) == list(english)
    assert {k: placeholders(v) for k, v in other.items()} == {k: placeholders(v) for k, v in english.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_plain_and_whole(language: str) -> None:
    for key, text in words_of(language).items():
        assert isinstance(text, str), key
        assert text.strip() == text, key
        assert text, key
        assert not re.search(r"[<>&]|  ", text), key
        assert unicodedata.is_normalized("NFC", text), key


@pytest.mark.parametrize("language", OTHERS)
def test_sentences_end_where_those_in_english_do(language: str) -> None:
    """A text cut short, or two run together, shows in how it ends."""
    ends = {".": ".。", "?": "?؟？", ":": ":："}
    for key, text in words_of("en").items():
        other = words_of(language)[key].removesuffix(" ").replace("\u00a0", " ")
        if text[-1] in ends:
            assert other[-1] in ends[text[-1]], key
        else:
            assert other[-1] not in ".。:：?؟？", key


@pytest.mark.parametrize("language", SCRIPT)
def test_other_scripts_hold_no_latin_but_names(language: str) -> None:
    for key, text in words_of(language).items():
        bare = re.sub(r"\{\w+\}", "", text)
        assert set(re.findall(r"[A-Za-z]+", bare)) <= NAMES, key
        assert any(unicodedata.name(c, "").startswith(SCRIPT[language]) for c in bare), key


@pytest.mark.parametrize("language", ["fr", "es"])
def test_latin_languages_hold_no_english(language: str) -> None:
    for key, text in words_of(language).items():
        assert text != words_of("en")[key] or (language, key) in SAME_IN, key
        assert not ENGLISH & set(re.findall(r"\w+", text.lower())), key


def test_the_check_for_english_can_fail() -> None:
    text = words_of("en")
    missed = [k for k, v in text.items() if len(v) > 60 and not ENGLISH & set(re.findall(r"\w+", v.lower()))]
    assert missed == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_code_names_has_words(language: str) -> None:
    needed = {f"title.{page}" for page in Page if page is not Page.LANGUAGES}
    needed |= (
        {f"kinds.{one}" for one in Activity} | {f"circle.{one}" for one in Circle} | {f"danger.{one}" for one in Danger}
    )
    needed |= {f"home.shield_{one}" for one in Protection}
    needed |= {f"trouble.{one}" for one in Trouble} | {f"trouble.{one}_text" for one in Trouble}
    assert needed <= set(words_of(language))


def test_titles_say_nothing_of_what_the_page_is_for() -> None:
    """They stand in the bar of the window and in histories."""
    telling = {"en": "report|leak|whistle|violat|offic", "zh": "举报|违反|办公室", "fr": "signal|bureau", "ru": "сообщ|наруш|бюро",
               "ar": "بلاغ|انتهاك|مكتب", "es": "aviso de|denunc|oficina"}  # fmt: skip
    for language, pattern in telling.items():
        for key, text in words_of(language).items():
            if key.startswith("title."):
                assert not re.search(pattern, text.lower()), (language, key)


def test_a_language_that_is_none() -> None:
    with pytest.raises(ValueError, match="no language"):
        words_of("de")
