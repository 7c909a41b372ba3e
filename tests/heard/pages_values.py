"""Values for every page, ordinary and as large as they may be."""

from __future__ import annotations

from inspectorate.mechanisms.whistleblowing.sealing.phrases import WORD_LISTS, Phrase
from inspectorate.mechanisms.whistleblowing.web.pages import Notice, OfficeShown, Page, Protection, ShownReply, Trouble

PHRASE = Phrase(bytes(range(7, 23)))
RECIPIENT = "age1" + "q" * 58


def small() -> Notice:
    offices = tuple(OfficeShown(names={"en": f"Office {name}"}) for name in "AB")
    return Notice(agreement={"en": "Agreement"}, offices=offices, quorum=2)


def large(character: str = "漢") -> Notice:
    """As much as a notice can say."""
    office = OfficeShown(names={"en": character * 80}, recipient=RECIPIENT)
    return Notice(
        agreement={"en": character * 80}, offices=(office,) * 16, quorum=16, protections=tuple(Protection), visits=True,
        wait_s=600, collected_h=1000, reply_days=365, file_mb_max=100_000, files_max=100, onion="a" * 56 + ".onion",
    )  # fmt: skip


def values(page: Page, language: str, notice: Notice | None = None, *, receipt: str = "") -> dict[str, object]:
    words = PHRASE.words(language).split() if language in WORD_LISTS else []
    more: dict[Page, dict[str, object]] = {
        Page.SENT: {"words": words, "digits": PHRASE.digits().split(), "receipt": receipt},
        Page.RETURN: {"wrong": True},
        Page.THREAD: {"phrase": PHRASE.digits(), "replies": (ShownReply(office="A", text="One.\n\nTwo."),), "part": 0},
        Page.FOLLOWED: {"receipt": receipt},
        Page.TROUBLE: {"trouble": Trouble.BUSY},
    }
    return {"notice": notice or small(), **more.get(page, {})}
