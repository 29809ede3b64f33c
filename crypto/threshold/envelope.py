"""Secrets in transit and at rest: HPKE envelopes to keypers, and a keyper's key file.

Envelopes: HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; bytes
are the encapsulated key (32), the ciphertext and its tag (16). `info` binds an envelope to one
sealed intent, account, recipient and set of shares, so it opens nowhere else.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Final

from Crypto.Protocol import HPKE
from Crypto.Protocol.DH import import_x25519_private_key, import_x25519_public_key

from crypto import labels
from crypto.errors import EnvelopeRefused, MalformedKeyFile, OutOfRange
from crypto.ring.sampling import SEED_BYTES, absorb
from crypto.signing.key_file import marked, read_encrypted, write_encrypted
from crypto.threshold.keys import KeyperSecrets
from crypto.threshold.replicated import Committee, split_seeds

ENVELOPE_BYTES_MAX: Final = 32 * 1024
"""Largest envelope that is read."""

_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_OVERHEAD: Final = _KEY_BYTES + _TAG_BYTES

SECRETS_VERSION: Final = 1
_SECRETS_MAGIC: Final = b"DPKS"
_SECRETS_HEADER: Final = struct.Struct("<4sHBBI")


def envelope_info(
    sealed_digest: bytes, account: bytes, keyper: int, shares: tuple[int, ...]
) -> bytes:
    """What an envelope is bound to, 32 bytes.

    Args:
        sealed_digest: EIP-712 digest of the sealed intent, which names chain and contract.
        account: its account, 20 bytes.
        keyper: number of the recipient.
        shares: the share numbers whose openings are inside, ascending.
    """
    fields = absorb(labels.ENVELOPE, sealed_digest, account, keyper, len(shares), *shares)
    return hashlib.sha256(fields).digest()


def seal_envelope(recipient: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Encrypt to an X25519 public key (32 bytes), with fresh randomness of the system.

    Raises:
        EnvelopeRefused: the key is not a point to encrypt to.
        OutOfRange: the envelope would exceed ENVELOPE_BYTES_MAX.
    """
    if len(plaintext) + _OVERHEAD > ENVELOPE_BYTES_MAX:
        most = ENVELOPE_BYTES_MAX - _OVERHEAD
        raise OutOfRange("bytes of an envelope's content", f"at most {most}", len(plaintext))
    try:
        key = import_x25519_public_key(recipient)
        cipher = HPKE.new(receiver_key=key, aead_id=HPKE.AEAD.AES256_GCM, info=info)
    except ValueError as error:
        raise EnvelopeRefused("recipient's key", "an X25519 public key", str(error)) from error
    return bytes(cipher.enc) + bytes(cipher.seal(plaintext))


def open_envelope(private_key: bytes, info: bytes, envelope: bytes) -> bytes:
    """Decrypt an envelope with a raw X25519 private key (32 bytes).

    Raises:
        EnvelopeRefused: too short or too long, or sealed to another key or with another `info`.
    """
    if not _OVERHEAD <= len(envelope) <= ENVELOPE_BYTES_MAX:
        expected = f"{_OVERHEAD} .. {ENVELOPE_BYTES_MAX}"
        raise EnvelopeRefused("length in bytes", expected, len(envelope))
    try:
        cipher = HPKE.new(
            receiver_key=import_x25519_private_key(private_key),
            aead_id=HPKE.AEAD.AES256_GCM,
            info=info,
            enc=envelope[:_KEY_BYTES],
        )
        return bytes(cipher.unseal(envelope[_KEY_BYTES:]))
    except ValueError as error:
        raise EnvelopeRefused("opening", "sealed to this key and binding", str(error)) from error


def secrets_to_bytes(secrets: KeyperSecrets) -> bytes:
    """Header (magic, version, keyper, committee size, epoch), seeds by share, envelope key."""
    committee = secrets.committee
    header = _SECRETS_HEADER.pack(
        _SECRETS_MAGIC, SECRETS_VERSION, secrets.keyper, committee.size, committee.epoch
    )
    seeds = [secrets.seeds[j] for j in committee.shares_of(secrets.keyper)]
    return header + b"".join(seeds) + secrets.envelope_key


def secrets_from_bytes(data: bytes) -> KeyperSecrets:
    """Parse what `secrets_to_bytes` made.

    Raises:
        MalformedKeyFile: anything else.
    """
    if len(data) < _SECRETS_HEADER.size:
        expected = f"at least {_SECRETS_HEADER.size}"
        raise MalformedKeyFile("length of the secrets in bytes", expected, len(data))
    magic, version, keyper, size, epoch = _SECRETS_HEADER.unpack_from(data)
    if (magic, version) != (_SECRETS_MAGIC, SECRETS_VERSION):
        expected, got = marked(_SECRETS_MAGIC, SECRETS_VERSION), marked(magic, version)
        raise MalformedKeyFile("magic and version of the secrets", expected, got)
    try:
        committee = Committee(size, epoch)
    except OutOfRange as error:
        raise MalformedKeyFile(error.subject, error.expected, error.got) from error
    if keyper not in committee.members:
        raise MalformedKeyFile("keyper", f"0 .. {size - 1}", keyper)
    expected_size = _SECRETS_HEADER.size + (size - 1) * SEED_BYTES + _KEY_BYTES
    if len(data) != expected_size:
        raise MalformedKeyFile("length of the secrets in bytes", expected_size, len(data))
    seeds = split_seeds(committee.shares_of(keyper), data[_SECRETS_HEADER.size :])
    return KeyperSecrets(keyper, committee, seeds, data[-_KEY_BYTES:])


def write_key_file(path: Path, secrets: KeyperSecrets, passphrase: str) -> None:
    """Encrypt a keyper's secrets into a file that appears whole or not at all, mode 0600.

    Raises:
        OutOfRange: an empty passphrase.
        OSError: the file cannot be written.
    """
    write_encrypted(path, secrets_to_bytes(secrets), passphrase)


def read_key_file(path: Path, passphrase: str) -> KeyperSecrets:
    """Decrypt a key file.

    Raises:
        MalformedKeyFile: not a key file of this version, or not of a keyper.
        WrongPassphrase: the tag does not verify.
        OSError: the file cannot be read.
    """
    return secrets_from_bytes(read_encrypted(path, passphrase))
