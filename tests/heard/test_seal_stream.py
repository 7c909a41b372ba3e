"""The stream of a report: it comes back as it went in, however it is cut, and nothing else is read as one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_scene import offices_of

from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.whistleblowing.intake.opening import (
    make_release,
    open_reports,
    own_shares,
    read_release,
)
from inspectorate.mechanisms.whistleblowing.sealing.files import Sealed, ToSeal, seal_report
from inspectorate.mechanisms.whistleblowing.sealing.stream import (
    Cutter,
    Data,
    End,
    FileHead,
    Head,
    Reader,
    make_head,
    read_part,
)

PART = 300
Files = list[tuple[str, bytes]]


def parts_of(answers: dict[str, str], files: Files) -> list[bytes]:
    cutter = Cutter(bytes(16), PART)
    found = [*cutter.head(make_head(None, answers, "en"))]
    for name, data in files:
        found += cutter.file(FileHead(name=name, media_type="text/plain"))
        for start in range(0, len(data), 77):
            found += cutter.data(data[start : start + 77])
    return [*found, *cutter.finish()]


def read(parts: list[bytes]) -> tuple[dict[str, str], Files, bool]:
    reader, answers, files, ended = Reader(where="r"), {}, [], False
    for one in parts:
        part = read_part(one + bytes(PART - len(one)), where="r")
        assert part is not None
        for event in reader.feed(part.data):
            if isinstance(event, Head):
                answers = event.answers
            elif isinstance(event, FileHead):
                files.append((event.name, b""))
            elif isinstance(event, Data):
                files[-1] = (files[-1][0], files[-1][1] + event.data)
            else:
                assert isinstance(event, End)
                ended = True
    return answers, files, ended


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(st.dictionaries(st.from_regex(r"\A[a-z]{1,8}\Z"), TEXT, max_size=4),
       st.lists(st.tuples(TEXT.map(lambda text: text[:200]), st.binary(max_size=1500)), max_size=4))  # fmt: skip
@settings(max_examples=15)
def test_a_report_comes_back_as_it_went_in(answers: dict[str, str], files: Files) -> None:
    parts = parts_of(answers, files)
    assert all(len(part) <= PART for part in parts)
    assert read(parts) == (answers, files, True)
    assert read(parts[:-1])[2] is False


@given(st.data())
@settings(max_examples=50)
def test_what_is_no_report_is_refused_in_words(data: st.DataObject) -> None:
    """A good stream with bytes changed, cut out and put in, in pieces of any size."""
    stream = bytearray(b"".join(part[26:] for part in parts_of({"a": "b"}, [("n", b"x" * 400)])))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(stream) - 1))
        stream[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    reader = Reader(where="r")
    try:
        for start in range(0, len(stream), 97):
            list(reader.feed(bytes(stream[start : start + 97])))
    except EvidenceError as fault:
        assert str(fault)  # noqa: PT017 - most of the changed streams are refused, and some are reports still


@given(st.binary(min_size=PART, max_size=PART))
@settings(max_examples=25)
def test_what_is_no_part_is_refused_in_words(opened: bytes) -> None:
    with pytest.raises(EvidenceError, match="neither a part"):
        read_part(b"\x01" + opened[1:22] + b"\xff\xff\xff\xff" + opened[26:], where="r")


def test_frames_out_of_order_are_refused() -> None:
    head = b"".join(part[26:] for part in parts_of({}, []))
    for stream in (
        b"D\0\0\0\1x",
        b"E\0\0\0\0",
        head + b"H\0\0\0\2{}",
        head[:-37] + b"D\0\0\0\1x",
        b"F\xff\xff\xff\xff",
    ):
        with pytest.raises(EvidenceError):
            list(Reader(where="r").feed(stream))


def test_answers_that_no_report_can_hold_are_refused() -> None:
    for answers in ({"a": "x" * 200_000}, {"../a": "x"}, {f"k{n}": "x" * 10_000 for n in range(60)}, {"a": "\ud800"}):
        with pytest.raises(InputError):
            make_head(None, answers, "en")


def test_a_source_seals_before_handing_in_and_two_offices_open(tmp_path: Path) -> None:
    listed, held = offices_of()
    big, out = tmp_path / "big", tmp_path / "sealed"
    big.write_bytes(os.urandom(200_000))
    report = ToSeal(
        intake="house", answers={"text": "the meter at P3"}, language="en", mailbox=None,
        files=[(FileHead(name="../../etc/passwd", media_type="x"), big)],
    )  # fmt: skip
    assert seal_report(report, listed, out) == 4
    assert b"meter" not in out.read_bytes()
    sealed = Sealed.of_source(out, listed)
    mine, theirs = held[2], held[0]
    release = make_release(sealed, own_shares(sealed, theirs.identity), theirs.key, [mine.name])
    with pytest.raises(EvidenceError, match="takes the shares of 2"):
        open_reports([(sealed, [own_shares(sealed, mine.identity)])], tmp_path / "alone")
    with pytest.raises(EvidenceError, match="not sealed to this office"):
        read_release(release, sealed, held[1].identity, where="r")
    opening = open_reports(
        [(sealed, [own_shares(sealed, mine.identity), read_release(release, sealed, mine.identity, where="r")])],
        tmp_path / "opened",
    )
    (one,) = opening.reports
    assert one.complete
    assert one.answers == {"text": "the meter at P3"}
    assert (tmp_path / "opened" / one.report / "file-00").read_bytes() == big.read_bytes()
    assert one.files[0].name == "../../etc/passwd"
    assert sorted(path.name for path in (tmp_path / "opened" / one.report).iterdir()) == ["file-00", "report.json"]


def test_a_report_sealed_to_others_is_refused(tmp_path: Path) -> None:
    listed, _ = offices_of()
    others, _ = offices_of()
    out = tmp_path / "sealed"
    seal_report(ToSeal(intake="h", answers={}, language="en", mailbox=None, files=[]), others, out)
    with pytest.raises(EvidenceError, match="other offices"):
        Sealed.of_source(out, listed)
    for data in (b"", b"{}\n", out.read_bytes()[:-1], b"\xff" * 100, out.read_bytes().replace(b"nonce", b"NONCE")):
        out.write_bytes(data)
        with pytest.raises(EvidenceError):
            Sealed.of_source(out, others)
