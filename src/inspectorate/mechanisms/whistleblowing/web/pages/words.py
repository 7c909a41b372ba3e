"""What the pages say, in six languages, as data: one YAML file each, with the same keys and placeholders.

A file is a mapping of sections to mappings of keys to texts. Texts are plain: no markup, placeholders in braces. No native speaker
has reviewed them (docs/intake-pages.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

import yaml

LANGUAGES: Mapping[str, str] = MappingProxyType(
    {"en": "English", "zh": "中文", "fr": "Français", "ru": "Русский", "ar": "العربية", "es": "Español"}
)
"""Codes of BCP 47 -> names in the languages themselves: the six languages of the United Nations."""
TAGS: Mapping[str, str] = MappingProxyType({"zh": "zh-Hans"})
"""Where the attribute `lang` says more than the address."""
RIGHT_TO_LEFT = frozenset({"ar"})


@cache
def words_of(language: str) -> Mapping[str, str]:
    """`section.key` -> text."""
    if language not in LANGUAGES:
        raise ValueError(f"no language of these pages: {language!r}")
    source = resources.files(__package__).joinpath("words", f"{language}.yaml").read_text(encoding="utf-8")
    sections: dict[str, dict[str, str]] = yaml.safe_load(source)
    return MappingProxyType(
        {f"{section}.{key}": text for section, texts in sections.items() for key, text in texts.items()}
    )
