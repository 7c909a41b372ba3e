"""Bytes in TPM order: big endian, and sized buffers (TPM2B). Reading is strict and says where it failed."""

from __future__ import annotations


class ShortError(ValueError):
    """There are fewer bytes than the structure needs, or more of them."""


class Reader:
    """Takes a buffer apart from its front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise ShortError(f"ends at byte {len(self._data)}, and {end} are needed")
        part = self._data[self._at : end]
        self._at = end
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def sized(self, most: int) -> bytes:
        """A TPM2B of at most `most` bytes."""
        size = self.number(2)
        if size > most:
            raise ShortError(f"a buffer of {size} bytes, where {most} are the most")
        return self.take(size)

    @property
    def rest(self) -> bytes:
        return self._data[self._at :]

    def end(self) -> None:
        """Raise if anything is left."""
        if self._at != len(self._data):
            raise ShortError(f"{len(self._data) - self._at} bytes follow its end")


def u8(value: int) -> bytes:
    return value.to_bytes(1, "big")


def u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def sized(data: bytes) -> bytes:
    """A TPM2B."""
    return u16(len(data)) + data
