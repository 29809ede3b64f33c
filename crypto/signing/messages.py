"""The messages that accounts and keypers sign: EIP-712 typed data, and ECDSA over secp256k1.

Every digest is bound to one chain and one contract by the domain separator (EIP-712), so a
signature is worth nothing elsewhere. Addresses are 20 raw bytes, hashes are 32.
Signatures are 65 bytes, r || s || v with v 27 or 28, and s in the lower half of the group order
(EIP-2), so that a signature has exactly one form.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self

from eth_hash.auto import keccak

from crypto.errors import InvalidMessageField
from crypto.signing.eip712 import Domain, TypedMessage


@dataclass(frozen=True, slots=True)
class Intent(TypedMessage):
    """An order in the clear; only its owner holds it. `size` in lots, `limit_tick` on the grid.

    `side` is 0 for buy and 1 for sell; `salt` and `root_seed` are 32 bytes from the operating
    system's generator. `minimum` is the least fill of a minimum-fill order in lots, 0 for a plain
    one.
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
    beside at least so much collateral of others. `minimum_fill` tells a minimum-fill order, which
    has a minimum, from a plain one. `terms` is the digest of what the auction runs under
    (`crypto.threshold.attestation.StatedTerms`), its encryption keys included; no terms have the
    digest zero.
    """

    ENCODE_TYPE: ClassVar[str] = (
        "SealedIntent(address account,bytes32 instrument,uint64 interval,bytes32 commitment,"
        "bytes32 ciphertextDigest,uint64 cap,uint64 nonce,uint64 deadline,uint32 keyEpoch,"
        "uint128 othersCollateralMin,bool minimumFill,bytes32 terms)"
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
    minimum_fill: bool = False
    terms: bytes = bytes(32)


@dataclass(frozen=True, slots=True)
class AdmissionCertificate(TypedMessage):
    """What a keyper signs of an intent whose proof of knowledge it has checked, before the close.

    `intent` is the digest of the sealed intent; `closes_ms`, in Unix milliseconds, is the close
    that the keyper's own clock had not reached; `terms`, which the signed type names so, is the
    digest of `crypto.threshold.attestation.StatedTerms`: what the auction runs under is fixed
    before its outcome is known.
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
    def of(cls, sealed: SealedIntent, domain: Domain, closes_ms: int, terms_digest: bytes) -> Self:
        """The certificate that a sealed intent can get.

        Raises:
            InvalidMessageField: a field of the intent does not fit its type.
        """
        named = (sealed.account, sealed.instrument, sealed.interval, sealed.digest(domain))
        return cls(*named, closes_ms, terms_digest)


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


def commitment(intent: Intent, domain: Domain) -> bytes:
    """Return the 32-byte commitment to an intent: its EIP-712 digest, hidden by salt and seed.

    Raises:
        InvalidMessageField: a field does not fit its type.
    """
    return intent.digest(domain)


def instrument_id(name: str) -> bytes:
    """Return the 32-byte identifier of an instrument: keccak256 of its name in UTF-8.

    Raises:
        InvalidMessageField: no text in Unicode.
    """
    try:
        return keccak(name.encode())
    except (AttributeError, UnicodeEncodeError):
        got = f"{len(name)} characters" if isinstance(name, str) else type(name).__name__
        raise InvalidMessageField("instrument", "its name, text in Unicode", got) from None
