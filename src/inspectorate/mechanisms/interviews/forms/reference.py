"""Limits and closed lists of forms, each with its reason or source.

Limits are for what comes from outside: a form of the other party, a file of the page. They are far above what an interview of two
hours needs, and far below what would hurt.
"""

from __future__ import annotations

import re

LANGUAGES = ("en", "zh", "fr", "ru", "ar", "es")
"""What shipped forms are complete in: the official languages of the United Nations."""
RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})
"""Languages whose usual script runs from right to left (Unicode CLDR, layout orientation)."""
LANGUAGE = re.compile(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$")
LANGUAGES_MAX = 16

FORM_BYTES_MAX = 1 << 20
"""Of a form in its canonical bytes."""
QUESTIONS_MAX = 200
"""An interview of two hours has room for fewer than a hundred."""
GROUPS_DEPTH_MAX = 4
CHOICES_MAX = 200
LISTS_MAX = 64
REPEAT_MAX = 50
"""Times that one repeat may be asked."""
WORDS_MAX = 2000
"""Characters of one text in one language."""
ANSWER_TEXT_MAX = 2000
"""Characters of a written answer."""
NUMBER_MAX = 1e15
"""Exact in a double, and beyond any count that a person gives."""
PODS_MAX = 2000

RIGHTS = (
    "voluntary",
    "refuse",
    "stop",
    "scope",
    "readers",
    "no_secrets",
    "retaliation",
    "observers",
    "accommodation",
    "read_back",
)
"""What every interviewee is told, in this order, before the first question. Article IX of arXiv 2511.10783 (interviews; the home
state may observe) and Article X (retaliation and leaks of identity are violations); Scher & Thiergart 2024 (arXiv 2506.15867): a
neutral place, privacy and safety, a scope limited to compliance."""

EXTERNAL_LISTS = ("pods",)
"""Lists of choices that a form leaves to the frame of an interview: `select_one_from_file pods.csv`."""

EXPRESSION_CHARACTERS_MAX = 500
EXPRESSION_NODES_MAX = 60
EXPRESSION_DEPTH_MAX = 12

CAPTURE_BYTES_MAX = 1 << 20
ACTS_MAX = 500
PEOPLE_PRESENT_MAX = 16
INTERVIEW_S_MAX = 12 * 3600
"""A capture that spans more is two interviews."""
