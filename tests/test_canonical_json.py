"""JSON of records: one spelling, and nothing else is read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.canonical_json import from_json, to_json
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
