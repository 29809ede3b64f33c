"""ECDSA on secp256k1 with recovery, as Ethereum uses it: 65 bytes, r, s and v."""

from __future__ import annotations

from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak

from crypto.errors import InvalidSignature, MalformedKey, OutOfRange

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


SIGNATURE_BYTES = 65
KEY_BYTES = 32
DIGEST_BYTES = 32


def address_of(private_key: bytes) -> bytes:
    """Return the 20-byte Ethereum address of a 32-byte secp256k1 private key.

    Raises:
        MalformedKey: the key is not 32 bytes of a number from 1 to the group order less one.
    """
    return _address(_private_key(private_key).public_key)


def sign(digest: bytes, private_key: bytes) -> bytes:
    """Return the 65-byte signature of a 32-byte digest, deterministic (RFC 6979), s low.

    Raises:
        MalformedKey: as for `address_of`.
        OutOfRange: the digest is not 32 bytes.
    """
    if not isinstance(digest, bytes) or len(digest) != DIGEST_BYTES:
        raise OutOfRange("digest", f"{DIGEST_BYTES} bytes", _told_kind(digest))
    compact = _private_key(private_key).sign_recoverable(digest, hasher=None)
    return compact[:64] + bytes([compact[64] + 27])


def recover_address(digest: bytes, signature: bytes) -> bytes:
    """Return the 20-byte address that signed `digest`.

    Raises:
        InvalidSignature: not 65 bytes, v not 27 or 28, s in the upper half, or no such point.
    """
    if not isinstance(signature, bytes):
        raise InvalidSignature("kind", "bytes", type(signature).__name__)
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
        InvalidSignature: the signature is malformed, or of another address.
    """
    signer = recover_address(digest, signature)
    if signer != address:
        raise InvalidSignature("signer", address, signer)


def _private_key(octets: bytes) -> PrivateKey:
    """A private key; of one that cannot be used a message tells the kind alone."""
    whole = isinstance(octets, bytes) and len(octets) == KEY_BYTES
    if not whole or not 0 < int.from_bytes(octets) < SECP256K1_ORDER:
        expected = f"{KEY_BYTES} bytes, a number from 1 to the order of secp256k1 less one"
        got = "zero, or a number from the order on" if whole else _told_kind(octets)
        raise MalformedKey("private key", expected, got)
    return PrivateKey(octets)


def _told_kind(value: object) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else type(value).__name__


def _address(public_key: PublicKey) -> bytes:
    return keccak(public_key.format(compressed=False)[1:])[12:]
