"""JSON of records: one spelling, and nothing else is read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool import canonical_json
from darkpool.canonical_json import Bound, Width, from_json, to_json
from darkpool.errors import MalformedRecord
from darkpool.record.forms import (
    InstrumentRecord,
    MaskRecord,
    MasksFile,
    OpeningRecord,
    OpeningsFile,
    OutcomeRecord,
    RecordFile,
)


def test_json_is_spelled_in_one_way_only() -> None:
    data = to_json(MasksFile(1, ()))
    assert from_json(data, MasksFile, "masks.json") == MasksFile(1, ())
    for other in (
        data + b"\n",
        data.replace(b" ", b""),
        b"\xef\xbb\xbf" + data,
        b'{"masks": [], "version": 1}',
        b'{\n "version": 1,\n "version": 1,\n "masks": []\n}\n',
    ):
        with pytest.raises(MalformedRecord):
            from_json(other, MasksFile, "masks.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
)


@given(JSON, st.sampled_from([RecordFile, MasksFile, OpeningsFile]))
def test_any_json_is_read_or_refused(tree: Any, kind: type) -> None:
    with pytest.raises(MalformedRecord):
        from_json(json.dumps(tree).encode(), kind, "part")


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedRecord):
        from_json(data, RecordFile, "part")


SIGNATURES = {0: b"\x01" * 65, 12: bytes(65)}
OPENING = OpeningRecord(
    bytes(32), 3, 0, "no-cross 0", "comparison", 2, None, 7, 30, (1 << 20) - 1, (2, 0)
)
VALUES = [
    MasksFile(2, (MaskRecord(0, 1 << 20, SIGNATURES), MaskRecord(1, 0, {}))),
    OpeningsFile(2, (OPENING, OPENING)),
    InstrumentRecord('ES "H4" \\', bytes(32), (0, 1), OutcomeRecord(2, 0, 1, exhausted=True)),
    InstrumentRecord("X", bytes(32), (), None),
]
PIECES = [b" ", b"\n", b"0", b"-", b"1", b",", b'"', b"\\", b"[", b"]", b"{}", b"null", b"\x00"]


@dataclass(frozen=True)
class Bounded:
    """A form of each kind of value that has a size."""

    text: str
    octets: bytes
    short: Annotated[bytes, Width(2)]
    number: Annotated[int, Bound(9, -3)]
    names: Mapping[str, int]


SMALLEST = Bounded("", b"", b"12", 0, {})


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        (replace(SMALLEST, text="\U0001d11e" * 4096), None),
        (replace(SMALLEST, text="a" * 4097), "text of at most 4096 characters"),
        (replace(SMALLEST, text="a\nb"), "text of at most 4096 characters in one line"),
        (replace(SMALLEST, octets=bytes(1 << 20)), None),
        (replace(SMALLEST, octets=bytes((1 << 20) + 1)), "0x and lower-case hexadecimal digits"),
        (replace(SMALLEST, short=b"1"), "0x and lower-case hexadecimal digits of 2 bytes"),
        (replace(SMALLEST, short=b"123"), "0x and lower-case hexadecimal digits of 2 bytes"),
        (replace(SMALLEST, number=9), None),
        (replace(SMALLEST, number=10), "an integer from -3 to 9"),
        (replace(SMALLEST, number=-3), None),
        (replace(SMALLEST, number=-4), "an integer from -3 to 9"),
        (replace(SMALLEST, number=10**100), "an integer from -3 to 9"),
        (replace(SMALLEST, names={"a" * 4096: 1}), None),
        (replace(SMALLEST, names={"a" * 4097: 1}), "text of at most 4096 characters"),
        (replace(SMALLEST, names={"a" * 4096: -1}), "an integer from 0 to"),
    ],
)
def test_values_have_sizes(value: Bounded, refused: str | None) -> None:
    if refused is None:
        assert from_json(to_json(value), Bounded, "part") == value
        return
    with pytest.raises(MalformedRecord) as caught:
        from_json(to_json(value), Bounded, "part")
    assert str(caught.value.expected).startswith(refused)
    assert len(caught.value.subject) < 150


def test_a_text_is_refused_by_its_size_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = to_json(SMALLEST)
    monkeypatch.setattr(canonical_json, "JSON_BYTES_MAX", len(text))
    assert from_json(text, Bounded, "part") == SMALLEST
    with pytest.raises(MalformedRecord, match=f"at most {len(text)} bytes, got {len(text) + 1}"):
        from_json(text + b"\n", Bounded, "part")


@pytest.mark.parametrize("value", VALUES)
def test_what_is_written_reads_back(value: Any) -> None:
    assert from_json(to_json(value), type(value), "part") == value


@given(st.sampled_from(VALUES), st.data())
def test_what_is_read_is_spelled_as_it_is_written(value: Any, data: st.DataObject) -> None:
    text = bytearray(to_json(value))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        until = at + data.draw(st.sampled_from([0, 1, 2, 5]))
        text[at:until] = data.draw(st.sampled_from([b"", *PIECES]) | st.binary(max_size=2))
    try:
        read = from_json(bytes(text), type(value), "part")
    except MalformedRecord:
        return
    assert to_json(read) == text


@pytest.mark.parametrize(
    ("old", "new", "part", "says"),
    [
        (b'"lanes": 0', b'"lanes": 1' + b"0" * 10**5, "masks[1].lanes", "an integer from 0 to"),
        (b'"lanes": 0', b'"lanes": -0', "masks[1].lanes", "an integer from 0 to"),
        (b'"lanes": 0', b'"lanes": 0.0', "masks[1].lanes", "an integer from 0 to"),
        (b'"12": ', b'"0": ', "masks[0].attestations.0", "each name once"),
        (b'"12": ', b'"x": ', "masks[0].attestations", "numbers as names"),
        (b'"lanes": 0', b'"lane": 0', "masks[1]", "the field lanes"),
        (
            b'"attestations": {}',
            b'"attestations": {},\n   "a": 1',
            "masks[1]",
            "no field after the last",
        ),
        (b"]\n}", b"],\n}", "", r"'\n}'"),
    ],
)
def test_a_refusal_names_the_part(old: bytes, new: bytes, part: str, says: str) -> None:
    text = to_json(VALUES[0])
    assert text.count(old) == 1
    with pytest.raises(MalformedRecord) as caught:
        from_json(text.replace(old, new), MasksFile, "f")
    assert caught.value.subject == f"f.{part}".removesuffix(".")
    assert says in str(caught.value)
    assert len(str(caught.value)) < 400
