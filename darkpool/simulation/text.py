"""Bytes of a file that a person wrote, as text."""

from __future__ import annotations

import codecs
from typing import Final

_MARKS: Final = {
    codecs.BOM_UTF8: "a byte order mark",
    codecs.BOM_UTF16_LE: "UTF-16 with a byte order mark, bytes that are not UTF-8",
    codecs.BOM_UTF16_BE: "UTF-16 with a byte order mark, bytes that are not UTF-8",
}


class NotText(Exception):
    """Bytes that are no text of this kind: what was expected, and what came."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(expected, got)
        self.expected, self.got = expected, got


def text_of(data: bytes, bytes_max: int) -> str:
    """Read bytes as UTF-8 without a byte order mark.

    Raises:
        NotText: more than `bytes_max` bytes, a byte order mark, or bytes that are not UTF-8.
    """
    if len(data) > bytes_max:
        raise NotText(f"at most {bytes_max} bytes", f"more than {bytes_max} bytes")
    for mark, name in _MARKS.items():
        if data.startswith(mark):
            raise NotText("UTF-8 without a byte order mark", name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        got = f"byte 0x{data[error.start]:02x} at offset {error.start}, bytes that are not UTF-8"
        raise NotText("UTF-8 text", got) from None
