"""Copies without metadata: what is cleaned, what is kept sealed and why, and what hostile files can do."""

from __future__ import annotations

import io
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from inspectorate.mechanisms.whistleblowing.cases.clean import MEMORY, clean, kind_of
from inspectorate.mechanisms.whistleblowing.cases.clean_worker import UNPACKED_BYTES_MAX, container_fault

needs_mat2 = [
    pytest.mark.tools,
    pytest.mark.skipif(shutil.which("mat2") is None, reason="needs mat2"),
]


def png(trailer: bytes = b"") -> bytes:
    """A small picture that names its author."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"\x80\x20\x40" * 16 for _ in range(16))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0))
        + chunk(b"tEXt", b"Author\0Ada Source") + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"") + trailer
    )  # fmt: skip


def container(members: dict[str, bytes], compress: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compress) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return out.getvalue()


TYPES = (
    b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    b'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    b'<Default Extension="xml" ContentType="application/xml"/>'
    b'<Override PartName="/word/document.xml" '
    b'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>'
    b'<Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/>'
    b"</Types>"
)
RELATIONS = (
    b'<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    b'<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    b'Target="word/document.xml"/></Relationships>'
)
DOCUMENT = (
    b'<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p>'
    b"<w:r><w:t>the job ran on b3</w:t></w:r></w:p></w:body></w:document>"
)
CORE = (
    b'<?xml version="1.0"?><cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator>Ada Source</dc:creator></cp:coreProperties>'
)
DOCX = {
    "[Content_Types].xml": TYPES,
    "_rels/.rels": RELATIONS,
    "word/document.xml": DOCUMENT,
    "docProps/core.xml": CORE,
}


@pytest.mark.parametrize(
    ("data", "name", "why"),
    [
        (b"plain text", "a.txt", "of no kind that can be cleaned"),
        (b"\x7fELF" + bytes(40), "a.png", "of no kind"),
        (png(), "a.jpg", "called .jpg, and is .png"),
        (container(DOCX), "a.zip", "archives are not cleaned"),
        (container(DOCX), "a.png", "a ZIP container that is called .png"),
        (b"", "", "of no kind"),
    ],
)
def test_what_is_kept_sealed_says_why(data: bytes, name: str, why: str) -> None:
    kept = clean(data, name)
    assert kept.data is None
    assert kept.kept_because is not None
    assert why in kept.kept_because


def test_a_kind_is_told_by_first_bytes_and_a_name_may_be_missing() -> None:
    assert kind_of(png(), "photo") == (".png", None)
    assert kind_of(b"\xff\xd8\xff\xe0", "..\\..\\x.JPEG") == (".jpg", None)


def fault_of(data: bytes, tmp_path: Path, expected: str = "word/") -> str | None:
    path = tmp_path / "in.docx"
    path.write_bytes(data)
    return container_fault(path, expected)


def test_bombs_and_containers_that_are_two_things_at_once_are_not_unpacked(tmp_path: Path) -> None:
    assert fault_of(container(DOCX), tmp_path) is None
    bomb = fault_of(container(DOCX | {"word/media/x.xml": bytes(40 << 20)}), tmp_path)
    assert bomb is not None
    assert "more than is read" in bomb
    many = fault_of(container({f"word/{n}": b"" for n in range(5001)}), tmp_path)
    assert many is not None
    assert "5001 members" in many
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("word/a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            made.writestr("word/a", b"2")
    assert "two members of one name" in (fault_of(out.getvalue(), tmp_path) or "")
    assert "of another kind" in (fault_of(container({"xl/a": b"1"}), tmp_path) or "")
    assert "not a ZIP container" in (fault_of(b"PK\x03\x04" + bytes(60), tmp_path) or "")


def test_a_container_that_lies_about_its_size_is_bounded_by_the_process(tmp_path: Path) -> None:
    """The declared size is what is counted here; what is unpacked beyond it meets the limits of `apart`."""
    data = bytearray(container(DOCX | {"word/x.xml": bytes(1 << 20)}))
    place = data.rfind(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", UNPACKED_BYTES_MAX + 1)
    assert "more than is read" in (fault_of(bytes(data), tmp_path) or "")


class TestWithMat2:
    """What the maintained tool makes of files, in its closed-in process."""

    pytestmark = needs_mat2

    def test_a_picture_is_drawn_again_without_its_author_and_without_what_was_hung_on(self) -> None:
        before = set(MEMORY.iterdir())
        made = clean(png(trailer=container({"secret.txt": b"Ada Source was here"}, zipfile.ZIP_STORED)), "photo.png")
        if made.kept_because and "kernel closes off" in made.kept_because:
            pytest.skip(made.kept_because)
        assert made.data is not None, made.kept_because
        assert made.data.startswith(b"\x89PNG")
        assert b"Ada Source" not in made.data
        assert made.tool.startswith("mat2 0.")
        assert not [one for one in MEMORY.iterdir() if one not in before and one.name.startswith("inspectorate-")]

    def test_a_document_keeps_its_text_and_loses_its_author_and_an_unknown_member_stops_it(self) -> None:
        made = clean(container(DOCX), "notes.docx")
        if made.kept_because and "kernel closes off" in made.kept_because:
            pytest.skip(made.kept_because)
        assert made.data is not None, made.kept_because
        with zipfile.ZipFile(io.BytesIO(made.data)) as opened:
            text = b"".join(opened.read(name) for name in opened.namelist())
        assert b"the job ran on b3" in text
        assert b"Ada Source" not in text
        stopped = clean(container(DOCX | {"word/payload.exe": b"MZ" * 40}), "notes.docx")
        assert stopped.data is None
        assert stopped.kept_because is not None
        assert "mat2 makes no copy" in stopped.kept_because
