"""Forms: what may be asked of an interviewee, what was, and the page that an interviewer fills in.

    types         the agreed form as a record; its canonical bytes and digest
    expressions   conditions as data, typed and evaluated; `reading` reads them from XLSForm
    xlsform       XLSForm in, read in a process apart (`xlsform_apart`, `workbook`) and validated with pyxform
    bank          the question bank: clauses, who would know, what an answer says; `scope` holds a form against it
    capture       what an interview is about, and what the page exports; `checking` believes none of it that it can check
    recording     the record as a chain of lines, sealed to the verifier's office; who was heard of those drawn
    statements    answers as statements of agreed topics, for `consistency`
    page, sheet/  the page, made for one form and one frame; its words in six languages
    shipped/      two forms and a question bank, as data

It establishes: that what was recorded is an answer to a question of the agreed form, of an entry that was drawn, after the rights
were acknowledged, and confirmed by the interviewee; how often something else was asked or said, as far as anybody noted it.

It cannot establish: that the interviewee was alone with those who are recorded; that a departure was noted; that an answer is so.

It is fooled by: interviewers who record what was not said, where the interviewee confirms it unread; a tablet that was changed.
"""

from __future__ import annotations

from inspectorate.mechanisms.interviews.forms.bank import Bank, BankQuestion, read_bank, shipped_bank
from inspectorate.mechanisms.interviews.forms.capture import Capture, Frame, Given, Status
from inspectorate.mechanisms.interviews.forms.checking import check_capture, read_capture
from inspectorate.mechanisms.interviews.forms.page import render_page
from inspectorate.mechanisms.interviews.forms.recording import (
    Heard,
    Held,
    outcome_of,
    read_record,
    seal,
    unseal,
    write_record,
)
from inspectorate.mechanisms.interviews.forms.scope import Finding, Found, check_scope
from inspectorate.mechanisms.interviews.forms.statements import Asking, statements_of, topics_of
from inspectorate.mechanisms.interviews.forms.types import Form, Question, read_form
from inspectorate.mechanisms.interviews.forms.xlsform import Read, read_xlsform

__all__ = [
    "Asking",
    "Bank",
    "BankQuestion",
    "Capture",
    "Finding",
    "Form",
    "Found",
    "Frame",
    "Given",
    "Heard",
    "Held",
    "Question",
    "Read",
    "Status",
    "check_capture",
    "check_scope",
    "outcome_of",
    "read_bank",
    "read_capture",
    "read_form",
    "read_record",
    "read_xlsform",
    "render_page",
    "seal",
    "shipped_bank",
    "statements_of",
    "topics_of",
    "unseal",
    "write_record",
]
