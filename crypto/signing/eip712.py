"""Typed structured data, EIP-712: a domain, and messages that a dataclass describes."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import index
from typing import ClassVar

from eth_hash.auto import keccak

from crypto.errors import InvalidMessageField
from crypto.labels import EIP712_DOMAIN_NAME, EIP712_DOMAIN_VERSION

_NUMBERS = ("int", "uint")
_BYTES_OF = {"address": 20, "bytes32": 32}
_LIST = "[]"


_DOMAIN_TYPE_HASH = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a signature counts: one chain, one contract (20 bytes).

    Raises:
        InvalidMessageField: the contract is not 20 bytes, or the chain id not a uint256.
    """

    chain_id: int
    verifying_contract: bytes

    def __post_init__(self) -> None:
        _word("chain_id", "uint", 256, self.chain_id)
        _word("verifying_contract", "address", 20, self.verifying_contract)
        object.__setattr__(self, "chain_id", index(self.chain_id))

    def separator(self) -> bytes:
        """Return the 32-byte EIP-712 domain separator."""
        return _domain_separator(self)


@dataclass(frozen=True, slots=True)
class TypedMessage:
    """Base of the EIP-712 structs: fields are those of `ENCODE_TYPE`, in snake case.

    A field of type `bytes32[]` or `address[]` is a tuple of bytes, one whose type is a list of
    another struct is a tuple of such messages.
    """

    ENCODE_TYPE: ClassVar[str]

    def digest(self, domain: Domain) -> bytes:
        """Return the 32 bytes that are signed: keccak256(0x1901 || separator || struct hash).

        Raises:
            InvalidMessageField: a field does not fit its type.
        """
        return keccak(b"\x19\x01" + _domain_separator(domain) + self.struct_hash())

    def struct_hash(self) -> bytes:
        """Return the 32 bytes that name the message on any chain: its EIP-712 hashStruct.

        Raises:
            InvalidMessageField: a field does not fit its type.
        """
        type_hash, _ = _schema(self.ENCODE_TYPE)
        return keccak(type_hash + b"".join(self.words()))

    def words(self) -> list[bytes]:
        """Return each field as EIP-712 encodes it: one word of 32 bytes.

        Raises:
            InvalidMessageField: a field does not fit its type.
        """
        _, schema = _schema(self.ENCODE_TYPE)
        return [_field(name, kind, width, getattr(self, name)) for name, kind, width in schema]


def field_types(message: type[TypedMessage]) -> dict[str, tuple[str, int]]:
    """Type of each field: "uint" or "int" with bits, or "address" or "bytes32" with bytes."""
    _, schema = _schema(message.ENCODE_TYPE)
    return {name: (kind, width) for name, kind, width in schema}


@lru_cache(maxsize=64)
def _domain_separator(domain: Domain) -> bytes:
    return keccak(
        _DOMAIN_TYPE_HASH
        + keccak(EIP712_DOMAIN_NAME.encode())
        + keccak(EIP712_DOMAIN_VERSION.encode())
        + _word("chain_id", "uint", 256, domain.chain_id)
        + _word("verifying_contract", "address", 20, domain.verifying_contract)
    )


@cache
def _schema(encode_type: str) -> tuple[bytes, tuple[tuple[str, str, int], ...]]:
    """Return the type hash and, for each field, its name, its kind and its width."""
    schema = []
    for declaration in encode_type.split("(")[1].split(")")[0].split(","):
        solidity, name = declaration.split(" ")
        snake_case = re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)
        number = re.fullmatch("(u?int)([0-9]+)", solidity)
        if number is not None:
            schema.append((snake_case, number[1], int(number[2])))
        elif solidity == "bool":
            schema.append((snake_case, "uint", 1))
        elif solidity.endswith(_LIST):
            schema.append((snake_case, solidity, 0))
        else:
            schema.append((snake_case, solidity, _BYTES_OF[solidity]))
    return keccak(encode_type.encode()), tuple(schema)


def _field(name: str, kind: str, width: int, value: object) -> bytes:
    """Encode one field into 32 bytes; of a list these are the hash of its encoded items."""
    if not kind.endswith(_LIST):
        return _word(name, kind, width, value)
    item = kind.removesuffix(_LIST)
    if not isinstance(value, tuple):
        raise InvalidMessageField(name, f"tuple of {item}", value)
    return keccak(b"".join(_item(name, item, one) for one in value))


def _item(name: str, kind: str, value: object) -> bytes:
    if kind in _BYTES_OF:
        return _word(name, kind, _BYTES_OF[kind], value)
    if not isinstance(value, TypedMessage) or not value.ENCODE_TYPE.startswith(f"{kind}("):
        raise InvalidMessageField(name, kind, value)
    return value.struct_hash()


def _word(name: str, kind: str, width: int, value: object) -> bytes:
    """Encode one field into 32 bytes; `width` is in bits for a number, in bytes otherwise."""
    if kind in _NUMBERS:
        number = None if isinstance(value, bool) and width > 1 else _whole(value)
        lowest, above = (-1 << width - 1, 1 << width - 1) if kind == "int" else (0, 1 << width)
        if number is None or not lowest <= number < above:
            raise InvalidMessageField(name, f"{kind} of {width}", value)
        return number.to_bytes(32, "big", signed=lowest < 0)
    if not isinstance(value, bytes) or len(value) != width:
        raise InvalidMessageField(name, f"{kind} of {width}", value)
    return value.rjust(32, b"\0")


def _whole(value: object) -> int | None:
    """A whole number, whichever library's it is, as Python's own; None for anything else."""
    with suppress(TypeError):
        return index(value)  # type: ignore[arg-type]  # that is what is being asked
    return None
