"""The kinds of fields that the forms of a record have, with their bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from darkpool.canonical_json import Bound, Shape, Width
from darkpool.limits import PRICE_MAX_UNITS

Address = Annotated[bytes, Width(20)]
Hash = Annotated[bytes, Width(32)]
Signature = Annotated[bytes, Width(65)]
Small = Annotated[int, Bound(1 << 20)]
"""Counts, indices, ticks and keyper numbers."""
Cash = Annotated[int, Bound((1 << 128) - 1)]
Price = Annotated[int, Bound(PRICE_MAX_UNITS, -PRICE_MAX_UNITS)]
Name = Annotated[str, Shape(r"[ -~]{1,64}", "text of 1 to 64 printable ASCII characters")]
Purpose = Annotated[
    str, Shape(r"[a-z0-9 .-]{1,64}", "1 to 64 of a-z, 0-9, blank, point and hyphen")
]
Pricing = Literal["uniform", "reference"]
Ring = Literal["order", "comparison"]
