"""JSON of records: one spelling, and nothing else is read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpool.canonical_json import from_json, to_json
from darkpool.errors import MalformedRecord
from darkpool.record.forms import MasksFile, OpeningsFile, RecordFile


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
