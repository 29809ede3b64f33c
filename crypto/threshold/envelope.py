"""Secrets in transit and at rest: HPKE envelopes to keypers, and encrypted key files.

Envelopes: HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; bytes
are the encapsulated key (32), the ciphertext and its tag (16). `info` binds an envelope to one
sealed intent, account, recipient and set of shares, so it opens nowhere else.

Key files: scrypt (RFC 7914) and AES-256-GCM (NIST SP 800-38D), the header authenticated too.
"""

from __future__ import annotations

import hashlib
import os
import secrets as system_random
import struct
import unicodedata
from pathlib import Path
from typing import Final

from Crypto.Cipher import AES
from Crypto.Protocol import HPKE
from Crypto.Protocol.DH import import_x25519_private_key, import_x25519_public_key
from Crypto.Protocol.KDF import scrypt

from crypto import labels
from crypto.errors import EnvelopeRefused, MalformedKeyFile, OutOfRange, WrongPassphrase
from crypto.ring.sampling import SEED_BYTES, absorb
from crypto.threshold.keys import KeyperSecrets
from crypto.threshold.replicated import Committee

ENVELOPE_BYTES_MAX: Final = 32 * 1024
"""Largest envelope that is read."""

_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_OVERHEAD: Final = _KEY_BYTES + _TAG_BYTES

KEY_FILE_VERSION: Final = 1
_FILE_MAGIC: Final = b"DPKF"
_FILE_HEADER: Final = struct.Struct("<4sH32s12s")
_SCRYPT_COST: Final = 1 << 15
_SCRYPT_BLOCK: Final = 8
_SCRYPT_LANES: Final = 1
_FILE_BYTES_MAX: Final = 4096

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
        expected = f"{_SECRETS_MAGIC!r}, {SECRETS_VERSION}"
        raise MalformedKeyFile("magic and version of the secrets", expected, (magic, version))
    try:
        committee = Committee(size, epoch)
    except OutOfRange as error:
        raise MalformedKeyFile(error.subject, error.expected, error.got) from error
    if keyper not in committee.members:
        raise MalformedKeyFile("keyper", f"0 .. {size - 1}", keyper)
    expected_size = _SECRETS_HEADER.size + (size - 1) * SEED_BYTES + _KEY_BYTES
    if len(data) != expected_size:
        raise MalformedKeyFile("length of the secrets in bytes", expected_size, len(data))
    position = _SECRETS_HEADER.size
    seeds = {}
    for share in committee.shares_of(keyper):
        seeds[share] = data[position : position + SEED_BYTES]
        position += SEED_BYTES
    return KeyperSecrets(keyper, committee, seeds, data[position:])


def write_key_file(path: Path, secrets: KeyperSecrets, passphrase: str) -> None:
    """Encrypt a keyper's secrets into a file that appears whole or not at all, mode 0600.

    Raises:
        OutOfRange: an empty passphrase.
        OSError: the file cannot be written.
    """
    if not passphrase:
        raise OutOfRange("characters of a passphrase", "at least 1", 0)
    salt, nonce = system_random.token_bytes(32), system_random.token_bytes(12)
    header = _FILE_HEADER.pack(_FILE_MAGIC, KEY_FILE_VERSION, salt, nonce)
    cipher = AES.new(_file_key(passphrase, salt), AES.MODE_GCM, nonce=nonce)
    cipher.update(header)
    body, tag = cipher.encrypt_and_digest(secrets_to_bytes(secrets))
    _write_atomically(path, header + body + tag)


def read_key_file(path: Path, passphrase: str) -> KeyperSecrets:
    """Decrypt a key file.

    Raises:
        MalformedKeyFile: not a key file of this version.
        WrongPassphrase: the tag does not verify.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_FILE_BYTES_MAX + 1)
    least = _FILE_HEADER.size + _TAG_BYTES
    if not least <= len(data) <= _FILE_BYTES_MAX:
        raise MalformedKeyFile("length in bytes", f"{least} .. {_FILE_BYTES_MAX}", len(data))
    magic, version, salt, nonce = _FILE_HEADER.unpack_from(data)
    if (magic, version) != (_FILE_MAGIC, KEY_FILE_VERSION):
        expected = f"{_FILE_MAGIC!r}, {KEY_FILE_VERSION}"
        raise MalformedKeyFile("magic and version", expected, (magic, version))
    cipher = AES.new(_file_key(passphrase, salt), AES.MODE_GCM, nonce=nonce)
    cipher.update(data[: _FILE_HEADER.size])
    try:
        body = cipher.decrypt_and_verify(data[_FILE_HEADER.size : -_TAG_BYTES], data[-_TAG_BYTES:])
    except ValueError as error:
        raise WrongPassphrase(path) from error
    return secrets_from_bytes(body)


def _file_key(passphrase: str, salt: bytes) -> bytes:
    # One spelling of what looks the same, whatever keyboard it comes from.
    octets = unicodedata.normalize("NFC", passphrase).encode()
    key = scrypt(
        octets,  # type: ignore[arg-type]  # its stub says str, its documentation bytes
        salt,  # type: ignore[arg-type]
        _KEY_BYTES,
        _SCRYPT_COST,
        _SCRYPT_BLOCK,
        _SCRYPT_LANES,
    )
    if not isinstance(key, bytes):
        raise TypeError(f"expected one key of bytes from scrypt, got {type(key)}")
    return key


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{system_random.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
