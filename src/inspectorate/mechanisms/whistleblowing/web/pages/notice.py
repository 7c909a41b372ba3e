"""What an intake tells a source about itself: settings of the intake, since no code can promise what an agreement grants."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from inspectorate.canonical import Record

OFFICES_MAX = 16
"""As many as a list of offices may have."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]
Names = Annotated[dict[str, Name], Field(min_length=1, max_length=16)]
"""Language -> name. `en` must be there; it stands in for languages that are not."""


class Protection(StrEnum):
    """What an agreement may grant to a source; a notice lists only what its agreement does (cf. arXiv 2511.10783, Article X)."""

    RETALIATION = "retaliation"
    """Punishing a source violates the agreement."""
    LEAK = "leak"
    """To reveal or to look for who reported violates the agreement."""
    SECRECY = "secrecy"
    """Duties of secrecy do not bind a source who reports here."""
    FAMILY = "family"
    """Family and others who are close or helped are covered."""
    ASYLUM = "asylum"
    SAFE_CONDUCT = "safe-conduct"


def _with_english(names: dict[str, str]) -> None:
    if "en" not in names:
        raise ValueError("a name is missing in English (`en`), which stands in for other languages")


class OfficeShown(Record):
    """One of the offices, as sources are told of it."""

    names: Names
    recipient: Annotated[str, StringConstraints(max_length=80, pattern=r"^(age1[0-9a-z]+)?$")] = Field(
        default="", description="its age recipient, for those who encrypt by themselves"
    )

    @model_validator(mode="after")
    def _named(self) -> Self:
        _with_english(self.names)
        return self

    def name(self, language: str) -> str:
        return self.names.get(language) or self.names["en"]


class Notice(Record):
    """What all pages of an intake say about it."""

    agreement: Names
    offices: Annotated[tuple[OfficeShown, ...], Field(min_length=2, max_length=OFFICES_MAX)]
    quorum: int = Field(ge=2, le=OFFICES_MAX, description="offices that together can open a report")
    protections: tuple[Protection, ...] = Field(default=(), description="what the agreement grants, and nothing else")
    visits: bool = Field(
        default=False, description="everybody on the rosters is due at the verifier's house at times that are fixed"
    )
    wait_s: int = Field(default=10, ge=2, le=600, description="how long an answer to a report may take")
    collected_h: int = Field(default=24, ge=2, le=1000, description="hours between two collections by the offices")
    reply_days: int = Field(default=7, ge=2, le=365, description="by when offices mean to have answered")
    file_mb_max: int = Field(default=25, ge=1, le=100_000)
    files_max: int = Field(default=10, ge=2, le=100)
    onion: Annotated[str, StringConstraints(max_length=70, pattern=r"^([a-z2-7]{56}\.onion)?$")] = ""

    @model_validator(mode="after")
    def _several(self) -> Self:
        _with_english(self.agreement)
        if self.quorum > len(self.offices):
            raise ValueError(f"quorum: {self.quorum} of {len(self.offices)} offices cannot be")
        if len(set(self.protections)) != len(self.protections):
            raise ValueError("protections: each may stand there once")
        return self

    def agreement_name(self, language: str) -> str:
        return self.agreement.get(language) or self.agreement["en"]
