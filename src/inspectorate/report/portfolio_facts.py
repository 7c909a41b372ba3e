"""What a page on a portfolio needs to know besides exhibits: the question and the outcome in words.

The report knows no plan, so both come as this record and the tables as exhibits.
"""

from __future__ import annotations

from pydantic import Field

from inspectorate.canonical import Identifier, Record, Text
from inspectorate.quantities import Positive


class PortfolioFacts(Record):
    """The question that was asked, and what came of it."""

    title: Text
    question: tuple[Text, ...]
    outcome: Text
    notes: tuple[Text, ...] = ()
    not_counted: tuple[Text, ...] = ()
    currency: Identifier
    required_flop: Positive
    case: Text = Field(description="which end of the ranges counts")
