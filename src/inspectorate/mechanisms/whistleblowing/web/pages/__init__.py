"""The pages that a source sees, in six languages: pure functions from values to bytes.

`render(page, language, values)` makes one page. What each page needs (`notice` is needed by all):

    Page        address                    values beside `notice`
    LANGUAGES   GET  /                     -
    HOME        GET  /{lang}/              -
    KEYS        GET  /{lang}/keys          -            to encrypt before sending, for those who can
    REPORT      GET  /{lang}/report        -            form, multipart, to POST /{lang}/report; fields: `REPORT_FIELDS`
    SENT        POST /{lang}/report        words: Sequence[str] (none where a language has no list), digits: Sequence[str] (groups),
                                           receipt: str (empty: none is shown)
    RETURN      GET  /{lang}/return        wrong: bool  form, urlencoded, to POST /{lang}/return; fields: `RETURN_FIELDS`
    THREAD      POST /{lang}/return        phrase: str, replies: Sequence[ShownReply], part: int
                                           forms: more replies to POST /{lang}/return, follow-up, multipart, to /{lang}/follow
    FOLLOWED    POST /{lang}/follow        receipt: str               fields: `FOLLOW_FIELDS`
    TROUBLE     any                        trouble: Trouble

Rules:

- Every page has exactly `PAGE_BYTES` bytes, so its length says nothing. One that would be longer raises ValueError.
- No script, no picture, no font, no address outside this intake. The one style sheet stands in the page and is allowed by its
  digest: send `CONTENT_SECURITY_POLICY` with every page.
- Everything that comes in as a value is escaped. Equal values give equal bytes.
- No page says whether a code phrase is known: the intake does not know either.
- The names of form fields, their bounds and their closed lists stand in `fields`; `read_form` takes nothing else.
"""

from inspectorate.mechanisms.whistleblowing.web.pages.fields import (
    FILES,
    FOLLOW_FIELDS,
    PHRASE,
    REPORT_FIELDS,
    RETURN_FIELDS,
    Field,
    FieldKind,
    FormTrouble,
    Trouble,
    read_form,
)
from inspectorate.mechanisms.whistleblowing.web.pages.notice import Notice, OfficeShown, Protection
from inspectorate.mechanisms.whistleblowing.web.pages.render import (
    CONTENT_SECURITY_POLICY,
    PAGE_BYTES,
    STATUS,
    Page,
    ShownReply,
    render,
)
from inspectorate.mechanisms.whistleblowing.web.pages.words import LANGUAGES

__all__ = [
    "CONTENT_SECURITY_POLICY",
    "FILES",
    "FOLLOW_FIELDS",
    "LANGUAGES",
    "PAGE_BYTES",
    "PHRASE",
    "REPORT_FIELDS",
    "RETURN_FIELDS",
    "STATUS",
    "Field",
    "FieldKind",
    "FormTrouble",
    "Notice",
    "OfficeShown",
    "Page",
    "Protection",
    "ShownReply",
    "Trouble",
    "read_form",
    "render",
]
