"""The messages that accounts and keypers sign: EIP-712 typed data, and ECDSA over secp256k1.

Every digest is bound to one chain and one contract by the domain separator (EIP-712), so a
signature is worth nothing elsewhere. Addresses are 20 raw bytes, hashes are 32.
Signatures are 65 bytes, r || s || v with v 27 or 28, and s in the lower half of the group order
(EIP-2), so that a signature has exactly one form.
"""

import re
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import ClassVar, Self

from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak

from crypto.errors import InvalidMessageField, InvalidSignature
from crypto.labels import EIP712_DOMAIN_NAME, EIP712_DOMAIN_VERSION

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SIGNATURE_BYTES = 65

_NUMBERS = ("int", "uint")
_DOMAIN_TYPE_HASH = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a signature counts: one chain, one contract (20 bytes)."""

    chain_id: int
    verifying_contract: bytes

    def separator(self) -> bytes:
        """Return the 32-byte EIP-712 domain separator.

        Raises:
            InvalidMessageField: the contract is not 20 bytes, or the chain id not a uint256.
        """
        return _domain_separator(self)


@dataclass(frozen=True, slots=True)
class TypedMessage:
    """Base of the EIP-712 structs: fields are those of `ENCODE_TYPE`, in snake case."""

    ENCODE_TYPE: ClassVar[str]

    def digest(self, domain: Domain) -> bytes:
        """Return the 32 bytes that are signed: keccak256(0x1901 || separator || struct hash).

        Raises:
            InvalidMessageField: a field does not fit its type.
        """
        type_hash, schema = _schema(self.ENCODE_TYPE)
        words = [type_hash]
        for name, kind, width in schema:
            words.append(_word(name, kind, width, getattr(self, name)))
        return keccak(b"\x19\x01" + _domain_separator(domain) + keccak(b"".join(words)))


@dataclass(frozen=True, slots=True)
class Intent(TypedMessage):
    """An order in the clear; only its owner holds it. `size` in lots, `limit_tick` on the grid.

    `side` is 0 for buy and 1 for sell; `salt` and `root_seed` are 32 bytes from the operating
    system's generator. `minimum` is the least fill of an offset order in lots, 0 for a plain one.
    """

    ENCODE_TYPE: ClassVar[str] = (
        "Intent(address account,bytes32 instrument,uint64 interval,uint8 side,uint64 size,"
        "uint32 limitTick,uint64 nonce,bytes32 salt,bytes32 rootSeed,uint64 minimum)"
    )
    account: bytes
    instrument: bytes
    interval: int
    side: int = field(repr=False)
    size: int = field(repr=False)
    limit_tick: int = field(repr=False)
    nonce: int
    salt: bytes = field(repr=False)
    root_seed: bytes = field(repr=False)
    minimum: int = field(default=0, repr=False)


@dataclass(frozen=True, slots=True)
class SealedIntent(TypedMessage):
    """What the venue sees of an order. `cap` in lots, `deadline` in Unix seconds.

    `others_collateral_min` in units of the collateral, 0 for none: the intent takes part only
    beside at least so much collateral of others. `offset` tells an offset order, which has a
    minimum, from a plain one.
    """

    ENCODE_TYPE: ClassVar[str] = (
        "SealedIntent(address account,bytes32 instrument,uint64 interval,bytes32 commitment,"
        "bytes32 ciphertextDigest,uint64 cap,uint64 nonce,uint64 deadline,uint32 keyEpoch,"
        "uint128 othersCollateralMin,bool offset)"
    )
    account: bytes
    instrument: bytes
    interval: int
    commitment: bytes
    ciphertext_digest: bytes
    cap: int
    nonce: int
    deadline: int
    key_epoch: int
    others_collateral_min: int = 0
    offset: bool = False


@dataclass(frozen=True, slots=True)
class AdmissionCertificate(TypedMessage):
    """What a keyper signs of an intent whose proof of knowledge it has checked, before the close.

    `intent` is the digest of the sealed intent; `closes_ms`, in Unix milliseconds, is the close
    that the keyper's own clock had not reached; `terms` is
    `crypto.threshold.attestation.venue_terms_digest`: what the auction runs under is fixed before
    anybody knows what it leads to.
    """

    ENCODE_TYPE: ClassVar[str] = (
        "AdmissionCertificate(address account,bytes32 instrument,uint64 interval,bytes32 intent,"
        "uint64 closesMs,bytes32 terms)"
    )
    account: bytes
    instrument: bytes
    interval: int
    intent: bytes
    closes_ms: int
    terms: bytes

    @classmethod
    def of(cls, sealed: SealedIntent, domain: Domain, closes_ms: int, terms: bytes) -> Self:
        """The certificate that a sealed intent can get.

        Raises:
            InvalidMessageField: a field of the intent does not fit its type.
        """
        digest = sealed.digest(domain)
        return cls(sealed.account, sealed.instrument, sealed.interval, digest, closes_ms, terms)


@dataclass(frozen=True, slots=True)
class Cancellation(TypedMessage):
    """An account takes an intent back; `intent` is its digest, `nonce` its nonce."""

    ENCODE_TYPE: ClassVar[str] = (
        "Cancellation(address account,bytes32 instrument,uint64 interval,bytes32 intent,"
        "uint64 nonce)"
    )
    account: bytes
    instrument: bytes
    interval: int
    intent: bytes
    nonce: int

    @classmethod
    def of(cls, sealed: SealedIntent, domain: Domain) -> Self:
        """The cancellation of a sealed intent, for its account to sign.

        Raises:
            InvalidMessageField: a field of the intent does not fit its type.
        """
        digest = sealed.digest(domain)
        return cls(sealed.account, sealed.instrument, sealed.interval, digest, sealed.nonce)


@dataclass(frozen=True, slots=True)
class CancellationReceipt(TypedMessage):
    """What a keyper signs of a cancellation: it will sign no batch that contains the intent.

    `closes_ms`, in Unix milliseconds, is the close that its clock had not reached.
    """

    ENCODE_TYPE: ClassVar[str] = (
        "CancellationReceipt(address account,bytes32 instrument,uint64 interval,bytes32 intent,"
        "uint64 nonce,uint64 closesMs)"
    )
    account: bytes
    instrument: bytes
    interval: int
    intent: bytes
    nonce: int
    closes_ms: int

    @classmethod
    def of(cls, cancelled: Cancellation, closes_ms: int) -> Self:
        """The receipt that a cancellation can get."""
        return cls(
            cancelled.account,
            cancelled.instrument,
            cancelled.interval,
            cancelled.intent,
            cancelled.nonce,
            closes_ms,
        )


@dataclass(frozen=True, slots=True)
class BatchRoot(TypedMessage):
    """The closed batch of an interval: the Merkle root of `count` admitted intents."""

    ENCODE_TYPE: ClassVar[str] = "BatchRoot(uint64 interval,bytes32 root,uint32 count)"
    interval: int
    root: bytes
    count: int


@dataclass(frozen=True, slots=True)
class SettlementRoot(TypedMessage):
    """The outcome of an interval: results, fills and the balances after them."""

    ENCODE_TYPE: ClassVar[str] = (
        "SettlementRoot(uint64 interval,bytes32 resultsRoot,bytes32 fillsRoot,bytes32 balancesRoot)"
    )
    interval: int
    results_root: bytes
    fills_root: bytes
    balances_root: bytes


@dataclass(frozen=True, slots=True)
class ReferencePrice(TypedMessage):
    """What an instrument costs elsewhere, for one interval, and the prices around it.

    `price` may be negative; it and `tick_size` are in one unit, which the venue lays down.
    `observed_at` is in Unix milliseconds.
    """

    ENCODE_TYPE: ClassVar[str] = (
        "ReferencePrice(bytes32 instrument,uint64 interval,int128 price,uint64 tickSize,"
        "uint32 ticks,uint64 observedAt)"
    )
    instrument: bytes
    interval: int
    price: int
    tick_size: int
    ticks: int
    observed_at: int


@dataclass(frozen=True, slots=True)
class PriceReport(TypedMessage):
    """One number of a market, as one reporter sees it; `feed` says which and in what unit.

    `observed_at` is in Unix milliseconds.
    """

    ENCODE_TYPE: ClassVar[str] = "PriceReport(bytes32 feed,int128 value,uint64 observedAt)"
    feed: bytes
    value: int
    observed_at: int


def field_types(message: type[TypedMessage]) -> dict[str, tuple[str, int]]:
    """Type of each field: "uint" or "int" with bits, or "address" or "bytes32" with bytes."""
    _, schema = _schema(message.ENCODE_TYPE)
    return {name: (kind, width) for name, kind, width in schema}


def commitment(intent: Intent, domain: Domain) -> bytes:
    """Return the 32-byte commitment to an intent: its EIP-712 digest, hidden by salt and seed.

    Raises:
        InvalidMessageField: a field does not fit its type.
    """
    return intent.digest(domain)


def instrument_id(name: str) -> bytes:
    """Return the 32-byte identifier of an instrument: keccak256 of its name in UTF-8."""
    return keccak(name.encode())


def address_of(private_key: bytes) -> bytes:
    """Return the 20-byte Ethereum address of a 32-byte secp256k1 private key.

    Raises:
        ValueError: the key is not a number from 1 to the group order less one.
    """
    return _address(PrivateKey(private_key).public_key)


def sign(digest: bytes, private_key: bytes) -> bytes:
    """Return the 65-byte signature of a 32-byte digest, deterministic (RFC 6979), s low.

    Raises:
        ValueError: the digest is not 32 bytes, or the key is not a valid private key.
    """
    compact = PrivateKey(private_key).sign_recoverable(digest, hasher=None)
    return compact[:64] + bytes([compact[64] + 27])


def recover_address(digest: bytes, signature: bytes) -> bytes:
    """Return the 20-byte address that signed `digest`.

    Raises:
        InvalidSignature: not 65 bytes, v not 27 or 28, s in the upper half, or no such point.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise InvalidSignature("length", SIGNATURE_BYTES, len(signature))
    if signature[64] not in (27, 28):
        raise InvalidSignature("recovery value", "27 or 28", signature[64])
    s = int.from_bytes(signature[32:64], "big")
    if not 0 < s <= SECP256K1_ORDER // 2:
        raise InvalidSignature("s", "from 1 to half the group order", s)
    compact = signature[:64] + bytes([signature[64] - 27])
    try:
        public_key = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception as error:
        # coincurve raises a bare Exception where libsecp256k1 finds no point
        raise InvalidSignature("point", "a point of the curve", str(error)) from error
    return _address(public_key)


def verify_signature(digest: bytes, signature: bytes, address: bytes) -> None:
    """Check that `address` (20 bytes) signed the 32-byte `digest`.

    Raises:
        InvalidSignature: the signature is malformed, or somebody else's.
    """
    signer = recover_address(digest, signature)
    if signer != address:
        raise InvalidSignature("signer", address.hex(), signer.hex())


def _address(public_key: PublicKey) -> bytes:
    return keccak(public_key.format(compressed=False)[1:])[12:]


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
    for declaration in encode_type.split("(")[1].rstrip(")").split(","):
        solidity, name = declaration.split(" ")
        snake_case = re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)
        number = re.fullmatch("(u?int)([0-9]+)", solidity)
        if number is not None:
            schema.append((snake_case, number[1], int(number[2])))
        elif solidity == "bool":
            schema.append((snake_case, "uint", 1))
        else:
            schema.append((snake_case, solidity, {"address": 20, "bytes32": 32}[solidity]))
    return keccak(encode_type.encode()), tuple(schema)


def _word(name: str, kind: str, width: int, value: int | bytes) -> bytes:
    """Encode one field into 32 bytes; `width` is in bits for a number, in bytes otherwise."""
    if isinstance(value, int):
        lowest, above = (-1 << width - 1, 1 << width - 1) if kind == "int" else (0, 1 << width)
        if kind not in _NUMBERS or not lowest <= value < above:
            raise InvalidMessageField(name, f"{kind} of {width}", value)
        return value.to_bytes(32, "big", signed=lowest < 0)
    if kind in _NUMBERS or len(value) != width:
        raise InvalidMessageField(name, f"{kind} of {width}", value)
    return value.rjust(32, b"\0")
