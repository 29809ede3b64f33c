"""Secrets at rest: a file that is encrypted with a passphrase, and appears whole or not at all.

scrypt (RFC 7914) makes a key of the passphrase, AES-256-GCM (NIST SP 800-38D) encrypts; the header
(magic, version, salt, nonce) is authenticated too. What is inside says by a magic of its own whose
secret it is.
"""

from __future__ import annotations

import os
import secrets as system_random
import struct
import unicodedata
from pathlib import Path
from typing import Final

from Crypto.Cipher import AES
from Crypto.Protocol.KDF import scrypt

from crypto.errors import MalformedKeyFile, OutOfRange, WrongPassphrase

KEY_FILE_VERSION: Final = 1
_FILE_MAGIC: Final = b"DPKF"
_FILE_HEADER: Final = struct.Struct("<4sH32s12s")
_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_SCRYPT_COST: Final = 1 << 15
_SCRYPT_BLOCK: Final = 8
_SCRYPT_LANES: Final = 1
_FILE_BYTES_MAX: Final = 4096

ACCOUNT_KEY_VERSION: Final = 1
_ACCOUNT_MAGIC: Final = b"DPKA"
_ACCOUNT: Final = struct.Struct("<4sH32s")


def write_account_key(path: Path, private_key: bytes, passphrase: str) -> None:
    """Encrypt an account's secp256k1 private key, 32 bytes, into a file of mode 0600.

    Raises:
        OutOfRange: an empty passphrase.
        OSError: the file cannot be written.
    """
    content = _ACCOUNT.pack(_ACCOUNT_MAGIC, ACCOUNT_KEY_VERSION, private_key)
    write_encrypted(path, content, passphrase)


def read_account_key(path: Path, passphrase: str) -> bytes:
    """Decrypt an account's private key.

    Raises:
        MalformedKeyFile: not a key file of this version, or not of an account.
        WrongPassphrase: the tag does not verify.
        OSError: the file cannot be read.
    """
    content = read_encrypted(path, passphrase)
    expected = f"{marked(_ACCOUNT_MAGIC, ACCOUNT_KEY_VERSION)}, and a key of {_KEY_BYTES} bytes"
    if len(content) != _ACCOUNT.size:
        raise MalformedKeyFile("account's key", expected, f"{len(content)} bytes")
    magic, version, private_key = _ACCOUNT.unpack(content)
    if (magic, version) != (_ACCOUNT_MAGIC, ACCOUNT_KEY_VERSION):
        raise MalformedKeyFile("account's key", expected, marked(magic, version))
    return bytes(private_key)


def marked(magic: bytes, version: int) -> str:
    """What a file begins with, as messages tell it."""
    return f"{magic.decode('latin-1')}, {version}"


def write_encrypted(path: Path, content: bytes, passphrase: str) -> None:
    """Encrypt a secret into a file that appears whole or not at all, mode 0600.

    Raises:
        OutOfRange: an empty passphrase, or one that is no text.
        OSError: the file cannot be written.
    """
    salt, nonce = system_random.token_bytes(32), system_random.token_bytes(12)
    header = _FILE_HEADER.pack(_FILE_MAGIC, KEY_FILE_VERSION, salt, nonce)
    cipher = AES.new(_file_key(passphrase, salt), AES.MODE_GCM, nonce=nonce)
    cipher.update(header)
    body, tag = cipher.encrypt_and_digest(content)
    _write_atomically(path, header + body + tag)


def read_encrypted(path: Path, passphrase: str) -> bytes:
    """Decrypt what `write_encrypted` wrote.

    Raises:
        MalformedKeyFile: not a key file of this version.
        OutOfRange: an empty passphrase, or one that is no text.
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
        expected = marked(_FILE_MAGIC, KEY_FILE_VERSION)
        raise MalformedKeyFile("magic and version", expected, marked(magic, version))
    cipher = AES.new(_file_key(passphrase, salt), AES.MODE_GCM, nonce=nonce)
    cipher.update(data[: _FILE_HEADER.size])
    try:
        return cipher.decrypt_and_verify(data[_FILE_HEADER.size : -_TAG_BYTES], data[-_TAG_BYTES:])
    except ValueError as error:
        raise WrongPassphrase(path) from error


def _file_key(passphrase: str, salt: bytes) -> bytes:
    if not isinstance(passphrase, str) or not passphrase:
        raise OutOfRange("characters of a passphrase", "at least 1", 0)
    # One spelling of what looks the same, whatever keyboard it comes from.
    octets = unicodedata.normalize("NFC", passphrase).encode(errors="surrogatepass")
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
