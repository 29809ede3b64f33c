"""Blobs of a block, asked of a beacon node, and believed by nothing but their versioned hashes.

Beacon nodes keep blobs for some 18 days. Which slot a block of the chain is in follows from its
time. Both forms of the interface are asked: blobs by their hashes, and sidecars of older nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

import requests
from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import from_json

from darkpool.chain.answers import Several
from darkpool.chain.errors import BeaconUnavailable
from darkpool.chain.fetching import Answered, TooMuch, fetched, told
from darkpool.protocol.leaves import versioned_hashes
from darkpool.units import require_kind

ANSWER_BYTES_MAX: Final = 32 << 20
"""A hundred blobs and more; a block has at most some twenty."""

ANSWER_TIMEOUT_S: Final = 60

_NOTHING_THERE: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.GONE,
)
_HEADERS: Final = {"Accept": "application/json"}
_BLOB_DIGITS: Final = 2 * 4096 * 32
_SECONDS_MAX: Final = 3600
Seconds = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}$")]
Blob = Annotated[
    str,
    StringConstraints(
        pattern=r"^0x[0-9a-fA-F]*$", min_length=_BLOB_DIGITS + 2, max_length=_BLOB_DIGITS + 2
    ),
]


class _Sidecar(BaseModel):
    blob: Blob


class _Genesis(BaseModel):
    genesis_time: Seconds


class _Lengths(BaseModel):
    """The length of a slot, by its older and its newer name."""

    slot_s: Annotated[Seconds | None, Field(alias="SECONDS_PER_SLOT")] = None
    slot_ms: Annotated[Seconds | None, Field(alias="SLOT_DURATION_MS")] = None


_BLOBS: Final = TypeAdapter[Any](Several[Blob])
_SIDECARS: Final = TypeAdapter[Any](Several[_Sidecar])
_GENESIS: Final = TypeAdapter[Any](_Genesis)
_LENGTHS: Final = TypeAdapter[Any](_Lengths)


class BeaconNode:
    """The beacon node at an HTTP address."""

    def __init__(self, url: str) -> None:
        self._url = require_kind("address of a beacon node", str, url).rstrip("/")
        self._session = requests.Session()

    def blobs(self, made_at: int, hashes: Sequence[bytes]) -> tuple[bytes, ...] | None:
        """The blobs with these versioned hashes out of the block of a time in Unix seconds.

        None where the node does not have all of them.

        Raises:
            BeaconUnavailable: no answer, or none that can be used.
        """
        slot = self._slot(made_at)
        query = "&".join(f"versioned_hashes=0x{one.hex()}" for one in hashes)
        found = self._data(f"/eth/v1/beacon/blobs/{slot}?{query}", _BLOBS)
        if found is None:
            sidecars = self._data(f"/eth/v1/beacon/blob_sidecars/{slot}", _SIDECARS)
            found = [] if sidecars is None else [one.blob for one in sidecars]
        blobs = [bytes.fromhex(one[2:]) for one in found]
        try:
            known = dict(zip(versioned_hashes(blobs), blobs, strict=True))
        except RuntimeError:  # a word that is no field element has no commitment
            raise BeaconUnavailable(self._url, "a blob that is none") from None
        if not all(one in known for one in hashes):
            return None
        return tuple(known[one] for one in hashes)

    def _slot(self, made_at: int) -> int:
        genesis = self._data("/eth/v1/beacon/genesis", _GENESIS)
        lengths = self._data("/eth/v1/config/spec", _LENGTHS)
        if genesis is None or lengths is None:
            raise BeaconUnavailable(self._url, "no genesis, or no length of a slot")
        began, slot_s = int(genesis.genesis_time), int(lengths.slot_s or 0)
        slot_s = slot_s or int(lengths.slot_ms or 0) // 1000
        if not 0 < slot_s <= _SECONDS_MAX or began > made_at:
            reason = f"slots of {slot_s} s since {began}, with a block of {made_at}"
            raise BeaconUnavailable(self._url, reason)
        return (made_at - began) // slot_s

    def _data(self, path: str, form: TypeAdapter[Any]) -> Any:
        """What the node has at a path; None where it has nothing there."""
        status, _, body = self._asked(path)
        if status in _NOTHING_THERE:
            return None
        if status != HTTPStatus.OK:
            raise BeaconUnavailable(self._url, f"HTTP status {status}")
        try:
            return form.validate_python(from_json(body, allow_inf_nan=False)["data"])
        except (ValueError, TypeError, LookupError, ValidationError):
            shown = body[:60].decode("ascii", "replace")
            raise BeaconUnavailable(self._url, f"no data at {path[:60]}: {shown}") from None

    def _asked(self, path: str) -> Answered:
        session, url = self._session, self._url + path
        try:
            return fetched(
                lambda: session.get(
                    url,
                    headers=_HEADERS,
                    timeout=ANSWER_TIMEOUT_S,
                    stream=True,
                    allow_redirects=False,
                ),
                ANSWER_BYTES_MAX,
                ANSWER_TIMEOUT_S,
            )
        except TooMuch:
            raise BeaconUnavailable(self._url, f"more than {ANSWER_BYTES_MAX} bytes") from None
        except requests.Timeout:
            self._session = requests.Session()
            reason = f"no whole answer in {ANSWER_TIMEOUT_S} s"
            raise BeaconUnavailable(self._url, reason) from None
        except (OSError, ValueError) as error:
            raise BeaconUnavailable(self._url, f"no connection: {told(error)}") from None
