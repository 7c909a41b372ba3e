"""Forms as they come: any cut into pieces reads the same, files pass as they are, and what no browser sends is refused."""

from __future__ import annotations

import contextlib
import email
import email.policy
import itertools
from collections.abc import Sequence

import pytest
import web_raw as raw
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.whistleblowing.web.limits import Limits
from inspectorate.mechanisms.whistleblowing.web.pages import REPORT_FIELDS, RETURN_FIELDS, Trouble
from inspectorate.mechanisms.whistleblowing.web.upload import (
    NAME_CHARS_MAX,
    FileBegins,
    FileGoesOn,
    FormReader,
    boundary_of,
    plain_media_type,
    plain_name,
    read_text_form,
)
from inspectorate.mechanisms.whistleblowing.web.wire import Refused

SMALL = Limits(upload_bytes=4096, files=3)
Files = list[tuple[str, str, bytes]]


def read(body: bytes, cuts: Sequence[int] = (), limits: Limits = SMALL) -> tuple[dict[str, list[str]], Files]:
    reader = FormReader(raw.BOUNDARY, REPORT_FIELDS, limits)
    files: Files = []
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for start, end in itertools.pairwise(edges):
        for event in reader.feed(body[start:end]):
            if isinstance(event, FileBegins):
                files.append((event.name, event.media_type, b""))
            else:
                name, kind, data = files[-1]
                files[-1] = (name, kind, data + event.data)
    reader.end()
    return reader.sent, files


def oracle(body: bytes) -> tuple[dict[str, list[str]], list[bytes]]:
    """The same form by Python's parser of mail, which is slow and keeps everything."""
    top = b"Content-Type: multipart/form-data; boundary=" + raw.BOUNDARY + b"\r\n\r\n"
    message = email.message_from_bytes(top + body, policy=email.policy.HTTP)
    texts: dict[str, list[str]] = {}
    files = []
    for one in message.iter_parts():
        data = one.get_payload(decode=True)
        assert isinstance(data, bytes)
        if one.get_param("filename", header="content-disposition") is None:
            texts.setdefault(str(one.get_param("name", header="content-disposition")), []).append(data.decode())
        else:
            files.append(data)
    return texts, files


WORDS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=40)


@settings(max_examples=25)
@given(
    seen=WORDS,
    place=WORDS,
    files=st.lists(st.binary(min_size=1, max_size=200), max_size=3),
    cuts=st.lists(st.integers(0, 5000), max_size=8),
)
def test_any_cut_reads_the_same_as_a_slow_parser(seen: str, place: str, files: list[bytes], cuts: list[int]) -> None:
    body = raw.form({"place": place, "seen": seen}, [(f"{n}.bin", data) for n, data in enumerate(files)])
    texts, found = read(body, cuts)
    slow_texts, slow_files = oracle(body)
    assert texts == slow_texts == {"place": [place], "seen": [seen]}
    assert [data for _, _, data in found] == files
    assert [data for data in slow_files if data] == [data for data in files if data]


@pytest.mark.parametrize(
    "tail", [b"\r", b"\r\n", b"\r\n--", b"\r\n--" + raw.BOUNDARY[:-1], b"\r\n--" + raw.BOUNDARY + b"x"]
)
def test_content_that_looks_like_a_boundary_is_content(tail: bytes) -> None:
    data = b"a" + tail + b"\r\r\n" + tail
    body = raw.form({"seen": "x"}, [("a", data)])
    for step in (1, 2, 7, 1000):
        assert read(body, range(0, len(body), step))[1] == [("a", "application/octet-stream", data)]


def test_a_file_of_two_kinds_stays_the_bytes_that_it_is() -> None:
    polyglot = b"GIF89a/*<script>alert(1)</script>*/%PDF-1.7\nPK\x03\x04" + bytes(range(256))
    assert read(raw.form({}, [("../../x.html", polyglot)]))[1] == [("x.html", "application/octet-stream", polyglot)]


def test_an_input_in_which_nothing_was_chosen_is_no_file_and_an_empty_file_is_one() -> None:
    assert read(raw.form({"seen": "x"}))[1] == []
    empty = raw.part("files", b"", filename="empty.txt", kind="text/plain") + raw.ending()
    assert read(empty)[1] == [("empty.txt", "text/plain", b"")]
    nameless = raw.part("files", b"abc", filename="") + raw.ending()
    assert read(nameless)[1] == [("", "application/octet-stream", b"abc")]


def refusal(body: bytes) -> tuple[int, Trouble]:
    with pytest.raises(Refused) as refused:
        read(body)
    return refused.value.status, refused.value.trouble


LONG = raw.part("place", b"a" * 2001) + raw.ending()
MEGABYTE = raw.part("seen", b"a" * (1 << 20)) + raw.ending()
THOUSANDS = b"".join(raw.part("kind", b"planning") for _ in range(3000)) + raw.ending()


@pytest.mark.parametrize(
    ("body", "status", "trouble"),
    [
        (LONG, 413, Trouble.TOO_LONG),
        (MEGABYTE, 413, Trouble.TOO_LONG),
        (THOUSANDS, 400, Trouble.UNREADABLE),
        (raw.part("nothing", b"x") + raw.ending(), 400, Trouble.UNREADABLE),
        (raw.part("seen", b"\xff\xfe") + raw.ending(), 400, Trouble.UNREADABLE),
        (raw.part("seen", b"x", filename="x") + raw.ending(), 400, Trouble.UNREADABLE),
        (raw.part("files", b"x") + raw.ending(), 400, Trouble.UNREADABLE),
        (
            raw.form({}, [("a", b"x")])[: -len(raw.ending())] + raw.part("seen", b"x") + raw.ending(),
            400,
            Trouble.UNREADABLE,
        ),
        (raw.form({}, [("a", b"x" * 4097)]), 413, Trouble.TOO_LARGE),
        (raw.form({}, [("a", b"x" * 2048), ("b", b"x" * 2049)]), 413, Trouble.TOO_LARGE),
        (raw.form({}, [("a", b"x")] * 4), 413, Trouble.TOO_MANY),
        (raw.form({"seen": "x"})[:-4], 400, Trouble.UNREADABLE),
        (b"", 400, Trouble.UNREADABLE),
        (b"not a form at all", 400, Trouble.UNREADABLE),
        (b"\r\nwords\r\n" + raw.form({"seen": "x"}), 400, Trouble.UNREADABLE),
        (raw.part("seen", b"x", kind="text/plain\r\nContent-Encoding: gzip") + raw.ending(), 400, Trouble.UNREADABLE),
        (raw.part("seen", b"x", kind="a\r\nContent-Type: b") + raw.ending(), 400, Trouble.UNREADABLE),
        (raw.part("a" * 5000, b"x") + raw.ending(), 400, Trouble.UNREADABLE),
    ],
)
def test_what_no_browser_sends_is_refused(body: bytes, status: int, trouble: Trouble) -> None:
    assert refusal(body) == (status, trouble)


def test_what_is_refused_is_not_kept_first() -> None:
    """A field of a megabyte in pieces is refused within its first pieces."""
    reader = FormReader(raw.BOUNDARY, REPORT_FIELDS, SMALL)
    reader.feed(MEGABYTE[:32_000])  # four bytes for each of 8,000 characters, and a head
    with pytest.raises(Refused):
        reader.feed(MEGABYTE[32_000:32_200])


@settings(max_examples=70)
@given(
    at=st.integers(0, 600),
    gone=st.integers(0, 20),
    put=st.binary(max_size=20),
    cuts=st.lists(st.integers(0, 700), max_size=4),
)
def test_an_altered_form_is_read_or_refused(at: int, gone: int, put: bytes, cuts: list[int]) -> None:
    body = raw.form({"place": "here", "seen": "this"}, [("a.bin", b"\0" * 50)])
    body = body[:at] + put + body[at + gone :]
    with contextlib.suppress(Refused):
        read(body, cuts)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("text/plain", 415), ("", 415), ("multipart/mixed; boundary=a", 415), ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400), ("multipart/form-data; boundary=" + "a" * 71, 400),
        ('multipart/form-data; boundary="a\r\nb"', 400), ("multipart/form-data; boundary=a b", 400),
    ],
)  # fmt: skip
def test_a_content_type_that_is_no_form_of_ours(said: str, status: int) -> None:
    with pytest.raises(Refused) as refused:
        boundary_of(said)
    assert refused.value.status == status


@given(name=st.binary(max_size=400))
@settings(max_examples=25)
def test_names_are_short_and_hold_nothing_that_turns_or_breaks_a_line(name: bytes) -> None:
    text = plain_name(name)
    assert len(text) <= NAME_CHARS_MAX
    assert not set(text) & set("/\\\r\n\0\u202e\u2028")


def test_names_and_types_are_cut_to_what_offices_need() -> None:
    assert plain_name(b"C:\\Users\\somebody\\plan.xlsx") == "plan.xlsx"
    assert plain_name(b"/srv/somebody/plan.xlsx") == "plan.xlsx"
    assert plain_name("план\u202egpj.exe".encode()) == "планgpj.exe"
    assert plain_name(b"a" * 300 + b".tar.gz").endswith("a.gz")
    assert plain_media_type(b"image/PNG; x=y") == "image/png"
    assert plain_media_type(b"text/html\r\nX: y") == plain_media_type(b"") == "application/octet-stream"


def test_text_forms() -> None:
    assert read_text_form(b"phrase=a+b%20c&part=2", RETURN_FIELDS) == {"phrase": ["a b c"], "part": ["2"]}
    assert read_text_form(b"", RETURN_FIELDS) == {}
    for body, status in (
        (b"phrase=%ff", 400), (b"phrase=\xff", 400), (b"other=1", 400), (b"phrase", 400), (b"a=1&" * 3000, 400),
        (b"phrase=" + b"a" * 1601, 413),
    ):  # fmt: skip
        with pytest.raises(Refused) as refused:
            read_text_form(body, RETURN_FIELDS)
        assert refused.value.status == status, body[:20]


def test_the_parser_of_forms_writes_no_log(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Refused):
        read(b"--" + raw.BOUNDARY + b"secret words")
    assert capfd.readouterr() == ("", "")


def test_a_file_goes_on_in_the_pieces_in_which_it_came() -> None:
    """So that no more than a piece waits in memory."""
    body = raw.form({}, [("a", b"x" * 4000)])
    reader = FormReader(raw.BOUNDARY, REPORT_FIELDS, SMALL)
    sizes = [
        len(event.data)
        for start in range(0, len(body), 100)
        for event in reader.feed(body[start : start + 100])
        if isinstance(event, FileGoesOn)
    ]
    assert max(sizes) <= 200
    assert sum(sizes) == 4000
