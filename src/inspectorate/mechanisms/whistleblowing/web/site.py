"""The addresses of an intake, and what each does. One table; what is not in it is nowhere.

Rules:

- A report passes from the socket into the sealing piece by piece. Nothing of it is kept here beyond the piece in hand and the texts
  of the form; nothing is written, logged, looked into or sent back.
- The answer to a report comes after the tick of the store that made it durable, or not at all.
- A form that another site made a browser send is refused, so that nobody's browser reports without them.
- A code phrase travels in the content of requests, never in an address; pages carry it in a hidden field of the thread that it
  opened, and no cookie holds it. So it is in no history and no cache (`no-store`), and the page is gone with its tab.
- Whether a code phrase was ever given out is not said, and not known.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from inspectorate.errors import InputError
from inspectorate.mechanisms.whistleblowing.intake.store import Intake
from inspectorate.mechanisms.whistleblowing.intake.submission import Refused as NotTaken
from inspectorate.mechanisms.whistleblowing.intake.submission import Submission, TooLarge
from inspectorate.mechanisms.whistleblowing.sealing.phrases import WORD_LISTS, Phrase
from inspectorate.mechanisms.whistleblowing.web.answers import READ_ONLY, WITH_FORM, Answer
from inspectorate.mechanisms.whistleblowing.web.limits import Bucket, Limits, Places, Visit
from inspectorate.mechanisms.whistleblowing.web.pages import (
    FOLLOW_FIELDS,
    LANGUAGES,
    PHRASE,
    REPORT_FIELDS,
    RETURN_FIELDS,
    STATUS,
    Field,
    FormTrouble,
    Notice,
    Page,
    ShownReply,
    Trouble,
    read_form,
    render,
)
from inspectorate.mechanisms.whistleblowing.web.pages.render import RECEIPT_CHARS_MAX
from inspectorate.mechanisms.whistleblowing.web.upload import (
    Event,
    FileBegins,
    FormReader,
    boundary_of,
    read_text_form,
    text_form_bytes_max,
)
from inspectorate.mechanisms.whistleblowing.web.wire import Client, Head, Refused


@dataclass(frozen=True, kw_only=True)
class _Form:
    """A form that brings a report."""

    fields: Sequence[Field]
    follows: bool
    """It belongs to a thread that is there: its code phrase stands in it."""


_FORMS: Mapping[str, _Form] = {
    "report": _Form(fields=REPORT_FIELDS, follows=False),
    "follow": _Form(fields=FOLLOW_FIELDS, follows=True),
}
_METHODS: Mapping[str, frozenset[str]] = {
    "": READ_ONLY,
    "keys": READ_ONLY,
    "report": WITH_FORM,
    "return": WITH_FORM,
    "follow": WITH_FORM,
}
"""Last part of an address -> methods."""
_PAGES: Mapping[str, Page] = {
    "": Page.HOME,
    "keys": Page.KEYS,
    "report": Page.REPORT,
    "return": Page.RETURN,
    "follow": Page.RETURN,
}
"""What GET shows. `follow` is where a browser stands after a follow-up: asked for again, it shows where to go on."""
_ENGLISH = "en"
_FORM_TYPE = "application/x-www-form-urlencoded"


class Site:
    """What stands at each address, over one intake."""

    def __init__(
        self, intake: Intake, notice: Notice, limits: Limits, *, hosts: frozenset[str], clock: Callable[[], float]
    ) -> None:
        self._intake = intake
        self._notice = notice
        self._limits = limits
        self._hosts = hosts
        self._reports = Bucket(limits.reports_per_minute, limits.reports_at_once, clock)
        self._lookups = Bucket(limits.lookups_per_minute, limits.lookups_at_once, clock)
        self._places = Places(limits.submissions)
        self._large_places = Places(limits.large_submissions)
        self._languages = self._page(Page.LANGUAGES, _ENGLISH)
        self._still = {
            (language, place): self._page(page, language, **({"wrong": False} if page is Page.RETURN else {}))
            for language in LANGUAGES
            for place, page in _PAGES.items()
        }
        """All pages that are the same for everybody, made once: whether they fit is known before the first source comes."""

    async def answer(self, head: Head, client: Client, visit: Visit) -> Answer:
        """Raises `Refused` and `Gone`."""
        if head.host not in self._hosts:
            raise Refused(421, Trouble.NOWHERE)
        allow = methods_of(head.path)
        if not allow:
            raise Refused(404, Trouble.NOWHERE)
        if head.method not in allow:
            raise Refused(405, Trouble.NOWHERE)
        language, place = _split(head.path)
        if head.method != "POST":
            if head.length:
                raise Refused(400, Trouble.UNREADABLE)
            page = self._languages if head.path == "/" else self._still[language, place]
            return Answer(status=200, language=language, page=page, allow=allow)
        if head.elsewhere:
            raise Refused(403, Trouble.UNREADABLE)
        if head.coded:
            raise Refused(415, Trouble.UNREADABLE)
        if place == "return":
            return await self._return(head, client, language)
        return await self._take_in(head, client, visit)

    def trouble(self, refused: Refused, *, at: Head | None = None) -> Answer:
        """The page that says what was wrong, in the language of the address if that could be read."""
        path = at.path if at is not None else refused.path
        language, _ = _split(path)
        return Answer(
            status=refused.status,
            language=language,
            page=self._page(Page.TROUBLE, language, trouble=refused.trouble),
            allow=methods_of(path) or READ_ONLY,
        )

    def failed(self, head: Head) -> Answer:
        return self.trouble(Refused(500, Trouble.FAILED), at=head)

    # --- reports and follow-ups ---------------------------------------------------------------------------------------------

    async def _take_in(self, head: Head, client: Client, visit: Visit) -> Answer:
        language, place = _split(head.path)
        form = _FORMS[place]
        reader = FormReader(boundary_of(head.content_type), form.fields, self._limits)
        if head.length > self._limits.body_bytes:
            raise Refused(413, Trouble.TOO_LARGE)
        if self._intake.refusal() is not None or not self._reports.has:
            raise Refused(503, Trouble.BUSY)
        with self._place(large=head.length > self._limits.framing_bytes):
            arrival = _Arrival(self._begin, form, language, reader)
            receipt = await arrival.take(client.content(head), visit)
        if form.follows:
            return self._sent(Page.FOLLOWED, head, receipt=receipt)
        words = arrival.phrase.words(language).split() if language in WORD_LISTS else []
        return self._sent(Page.SENT, head, receipt=receipt, words=words, digits=arrival.phrase.digits().split())

    @contextlib.contextmanager
    def _place(self, *, large: bool) -> Iterator[None]:
        """One of the places for reports that are being received."""
        asked = [self._places, self._large_places] if large else [self._places]
        with contextlib.ExitStack() as held:
            for places in asked:
                if not places.take():
                    raise Refused(503, Trouble.BUSY)
                held.callback(places.leave)
            yield

    def _begin(self, thread: Phrase, answers: Mapping[str, str], language: str) -> Submission:
        if not self._reports.take():
            raise Refused(503, Trouble.BUSY)
        return self._intake.begin(thread, answers, language)

    def _sent(self, page: Page, head: Head, **values: object) -> Answer:
        language, _ = _split(head.path)
        return Answer(
            status=200, language=language, page=self._page(page, language, **values), allow=methods_of(head.path)
        )

    # --- coming back --------------------------------------------------------------------------------------------------------

    async def _return(self, head: Head, client: Client, language: str) -> Answer:
        if head.content_type.partition(";")[0].strip().lower() != _FORM_TYPE:
            raise Refused(415, Trouble.UNREADABLE)
        if head.length > text_form_bytes_max(RETURN_FIELDS):
            raise Refused(413, Trouble.TOO_LONG)
        data = b"".join([piece async for piece in client.content(head)])
        if not self._lookups.take():
            raise Refused(503, Trouble.BUSY)
        asked = answers_of(RETURN_FIELDS, read_text_form(data, RETURN_FIELDS))
        try:
            phrase = Phrase.parse(asked.get(PHRASE, ""))
        except InputError:
            page = self._page(Page.RETURN, language, wrong=True)
            return Answer(status=400, language=language, page=page, allow=methods_of(head.path))
        replies = [ShownReply(office=one.office, text=one.text) for one in self._intake.replies(phrase)]
        part = asked.get("part", "")
        return self._sent(
            Page.THREAD, head, phrase=phrase.digits(), replies=replies, part=int(part) if part.isdecimal() else 0
        )

    def _page(self, page: Page, language: str, **values: object) -> bytes:
        return render(page, language, {"notice": self._notice, **values})


class _Arrival:
    """One report on its way from the socket into the sealing."""

    def __init__(
        self,
        begin: Callable[[Phrase, Mapping[str, str], str], Submission],
        form: _Form,
        language: str,
        reader: FormReader,
    ) -> None:
        self._begin_with = begin
        self._form = form
        self._language = language
        self._reader = reader
        self._submission: Submission | None = None
        self.phrase = Phrase.make()

    async def take(self, pieces: AsyncIterator[bytes], visit: Visit) -> str:
        """The receipt, once the report is durable; empty where no page has room for it.

        Raises `Refused` and `Gone`, after which nothing of the report counts.
        """
        try:
            async for piece in pieces:
                for event in self._reader.feed(piece):
                    await self._go_on(event)
            self._reader.end()
            if self._submission is None:
                self._begin()
            assert self._submission is not None
            visit.keeps = True
            receipt = (await self._submission.finish()).text()
            return receipt if len(receipt) <= RECEIPT_CHARS_MAX else ""
        except NotTaken:
            raise Refused(503, Trouble.BUSY) from None
        except TooLarge:
            raise Refused(413, Trouble.TOO_LARGE) from None
        finally:
            if self._submission is not None:
                await self._submission.abandon()

    async def _go_on(self, event: Event) -> None:
        if self._submission is None:
            self._begin()
        assert self._submission is not None
        if isinstance(event, FileBegins):
            await self._submission.file(event.name, event.media_type)
        else:
            await self._submission.write(event.data)

    def _begin(self) -> None:
        answers = answers_of(self._form.fields, self._reader.sent)
        if self._form.follows:
            try:
                self.phrase = Phrase.parse(answers.pop(PHRASE, ""))
            except InputError:
                raise Refused(400, Trouble.UNREADABLE) from None
        if not answers and not self._reader.files:
            raise Refused(400, Trouble.EMPTY)
        self._submission = self._begin_with(self.phrase, answers, self._language)


def answers_of(fields: Sequence[Field], sent: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Raises `Refused`."""
    try:
        return read_form(fields, sent)
    except FormTrouble as fault:
        raise Refused(STATUS[fault.trouble], fault.trouble) from None


def methods_of(path: str) -> frozenset[str]:
    """None at an address that is nowhere."""
    if path == "/":
        return READ_ONLY
    parts = path.split("/")
    if len(parts) not in {2, 3} or parts[1] not in LANGUAGES:
        return frozenset()
    return _METHODS.get(parts[2] if len(parts) == 3 else "", frozenset())


def _split(path: str) -> tuple[str, str]:
    """Language and last part; English where the address names none."""
    parts = [*path.split("/"), "", ""]
    return (parts[1], parts[2]) if parts[1] in LANGUAGES else (_ENGLISH, "")
