"""The report as JSON: the whole review, for machines and for the record.

The form is that of `docs/schemas/review.json` (see `schemas`), and `Review.model_validate_json` reads it back. It is indented,
in the order of the record's fields, and ends with a newline. Equal reviews give equal bytes. Nothing is left out, shortened
or rounded. Text from outside stands in it as it came; what makes it visible is done by the other two forms.

Not done here: the canonical byte form; `review.canonical_bytes()` gives it.
"""

from __future__ import annotations

import json

from inspectorate.review import Review


def render_json(review: Review) -> bytes:
    """The review as indented JSON in UTF-8."""
    return (json.dumps(review.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n").encode()
