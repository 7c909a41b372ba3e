"""Reports on a review: one file per output, all of one outline.

    outline   what is said, in which order, the same for text and HTML; `parts`: its nouns
    words     numbers, times and verdicts in words; text from outside made visible
    text      plain text, 100 columns
    as_json   the whole record
    html      a page that stands alone; `plots`, `series` and `svg` make its figures, `assets/` holds template and style
    schemas   the JSON Schemas published under docs/schemas

Guarantees:

- A report is made of a `Review` and nothing else. It reads no evidence, no clock and no disk.
- Equal reviews give equal bytes.
- Evidence is hostile: nothing in it can run, fetch, style, forge a line or move a cursor in a report.
- What is cut short says by how much; the JSON form cuts nothing.
- A verdict is never told by colour alone, and simulated evidence is said before anything else.

Not done here: writing files and printing (`cli`), pages with several reviews (`console`).
"""

from inspectorate.report.as_json import render_json
from inspectorate.report.html import render_html
from inspectorate.report.schemas import published_schemas, write_schemas
from inspectorate.report.text import render_text

__all__ = ["published_schemas", "render_html", "render_json", "render_text", "write_schemas"]
