"""The file by which a client can prove later what its sealed intent was.

Whoever reads it learns the order: it stays with the client.
"""

import json
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final

from crypto.bfv.ciphertext import Ciphertext
from crypto.circuits.curves import CurveLayout
from crypto.errors import CryptoError, SealingMismatch
from crypto.signing.eip712 import Domain
from crypto.signing.messages import Intent, SealedIntent, commitment
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.knowledge import KnowledgeContext, VectorSealing
from darkpool.client.errors import InvalidOpeningFile
from darkpool.errors import shortened

OPENING_FILE_VERSION: Final = 1
OPENING_FILE_MAX_BYTES: Final = 4096

_BYTES: Final = {
    "verifying_contract": 20,
    "account": 20,
    "instrument": 32,
    "salt": 32,
    "root_seed": 32,
}
_BITS: Final = {
    "version": 16,
    "chain_id": 256,
    "key_epoch": 32,
    "ticks": 32,
    "interval": 64,
    "side": 8,
    "size": 64,
    "limit_tick": 32,
    "nonce": 64,
    "minimum": 64,
}
_OUTER: Final = ("version", "chain_id", "verifying_contract", "key_epoch", "ticks")
_INTENT: Final = tuple(Intent.__slots__)


@dataclass(frozen=True, slots=True)
class OpeningFile:
    """An intent in the clear, and what it was sealed under; `ticks` is the length of its grid."""

    intent: Intent
    domain: Domain
    key_epoch: int
    ticks: int

    def to_json(self) -> str:
        """One JSON object; numbers in decimal, bytes as 0x and lower-case hexadecimal."""
        intent = {name: _written(getattr(self.intent, name)) for name in _INTENT}
        document = {
            "version": OPENING_FILE_VERSION,
            "chain_id": self.domain.chain_id,
            "verifying_contract": _written(self.domain.verifying_contract),
            "key_epoch": self.key_epoch,
            "ticks": self.ticks,
            "intent": intent,
        }
        return json.dumps(document, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "OpeningFile":
        """Read what `to_json` wrote.

        Raises:
            InvalidOpeningFile: anything else: other fields, types, lengths or version.
        """
        if not isinstance(text, str):
            raise InvalidOpeningFile("text", "one JSON object", type(text).__name__)
        if len(text) > OPENING_FILE_MAX_BYTES:
            raise InvalidOpeningFile(
                "length", f"at most {OPENING_FILE_MAX_BYTES} characters", str(len(text))
            )
        try:
            document = json.loads(text, object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            raise InvalidOpeningFile("text", "one JSON object", str(error)) from None
        outer = _fields("file", document, (*_OUTER, "intent"))
        values = {name: _read(name, outer[name]) for name in _OUTER}
        if values["version"] != OPENING_FILE_VERSION:
            raise InvalidOpeningFile("version", str(OPENING_FILE_VERSION), str(values["version"]))
        inner = _fields("intent", outer["intent"], _INTENT)
        return cls(
            Intent(**{name: _read(name, inner[name]) for name in _INTENT}),
            Domain(values["chain_id"], values["verifying_contract"]),
            values["key_epoch"],
            values["ticks"],
        )


def verify_opening_file(
    opening: OpeningFile, sealed: SealedIntent, ciphertext: Ciphertext, material: PublicMaterial
) -> None:
    """Check that a sealed intent and its ciphertext are exactly the sealing of an opening.

    Raises:
        SealingMismatch: names the first part that differs.
    """
    intent, committee = opening.intent, material.committee
    pairs: list[tuple[str, int | bytes, int | bytes]] = [
        ("account", sealed.account, intent.account),
        ("instrument", sealed.instrument, intent.instrument),
        ("interval", sealed.interval, intent.interval),
        ("nonce", sealed.nonce, intent.nonce),
        ("key epoch", sealed.key_epoch, opening.key_epoch),
        ("minimum_fill", int(sealed.minimum_fill), int(intent.minimum > 0)),
        ("key epoch of the keys", committee.epoch, opening.key_epoch),
        ("commitment", sealed.commitment, commitment(intent, opening.domain)),
        ("digest of the ciphertext", sealed.ciphertext_digest, ciphertext.digest()),
    ]
    for what, expected, got in pairs:
        if expected != got:
            raise SealingMismatch(what, _written(expected), _written(got))
    key = material.order_keys.public
    context = KnowledgeContext.of(sealed, opening.domain)
    try:
        vector = CurveLayout(key.ring, opening.ticks).vector(
            intent.side, intent.size, intent.limit_tick, intent.minimum
        )
        VectorSealing(key, committee, context).verify(vector, intent.root_seed, ciphertext)
    except SealingMismatch:
        raise
    except CryptoError as error:
        raise SealingMismatch("order", "one that can be sealed", str(error)) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field occurs twice")
    return fields


def _written(value: int | bytes) -> int | str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else value


def _fields(what: str, value: object, names: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(names):
        got = _outlined(value)
        if isinstance(value, dict):
            got = f"one of {shortened(', '.join(map(ascii, value)), 200) or 'nothing'}"
        raise InvalidOpeningFile(what, f"an object of {', '.join(names)}", got)
    return value


def _read(name: str, value: object) -> Any:
    if name in _BITS:
        if type(value) is not int or not 0 <= value < 1 << _BITS[name]:
            raise InvalidOpeningFile(name, f"a number of {_BITS[name]} bits", _outlined(value))
        return value
    width = _BYTES[name]
    expected = f"0x and {2 * width} lower-case hexadecimal digits"
    if not isinstance(value, str) or len(value) != 2 + 2 * width:
        raise InvalidOpeningFile(name, expected, _outlined(value))
    try:
        octets = bytes.fromhex(value[2:])
    except ValueError:
        octets = b""
    if _written(octets) != value:
        raise InvalidOpeningFile(name, expected, _outlined(value))
    return octets


def _outlined(value: object) -> str:
    """Kind and length of a value, not what it says: it may be a seed."""
    kind = _KINDS.get(type(value), "something else")
    return f"{kind} of {len(value)} characters" if isinstance(value, str) else kind


_KINDS: Final[dict[type, str]] = {
    bool: "true or false",
    dict: "an object",
    float: "a number with a point",
    int: "a whole number",
    list: "a list",
    NoneType: "null",
    str: "text",
}
