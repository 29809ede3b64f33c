"""Who signs for an account: a key of this process, a key file, or something that is asked.

Sealing needs no key, only a signature of its last step. A signer is asynchronous because a hardware
wallet or a signing service answers later.
"""

from __future__ import annotations

from inspect import isawaitable
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from crypto.errors import MalformedKey, MalformedKeyFile
from crypto.signing.ecdsa import DIGEST_BYTES, address_of, sign
from crypto.signing.key_file import read_account_key, write_account_key
from darkpool.client.errors import InvalidAccountKey
from darkpool.durable import writing
from darkpool.errors import WrongType
from darkpool.units import AccountId, account_id, account_of, octets, require_kind


@runtime_checkable
class Signer(Protocol):
    """Signs for one account.

    The same digest gets the same signature (RFC 6979), so that an agent that is asked again sends
    the same bytes.
    """

    @property
    def address(self) -> AccountId:
        """The account that the signatures are of."""

    async def sign(self, digest: bytes) -> bytes:
        """Sign 32 bytes: r, s and v in 65 bytes, v 27 or 28, s in the lower half of the order."""


def account_of_signer(signer: Signer) -> AccountId:
    """The account of a signer, in one spelling.

    Raises:
        WrongType: no signer, or an address that is no text.
        InvalidAccount: no address.
    """
    if not isinstance(signer, Signer):
        raise WrongType("signer", "a Signer, with address and sign", signer)
    return account_id(signer.address)


async def signature_of(signer: Signer, digest: bytes) -> bytes:
    """What a signer answers, which is not checked yet.

    Raises:
        WrongType: it answers at once, so it is not asynchronous.
    """
    answer = signer.sign(digest)
    if not isawaitable(answer):
        raise WrongType("answer of the signer", "one to wait for: an async def sign", answer)
    return await answer


class KeySigner:
    """Signs with a private key in the memory of this process.

    Args:
        account_key: secp256k1 private key of the account, 32 bytes; it is in no message.

    Raises:
        InvalidAccountKey: it is no private key.
    """

    def __init__(self, account_key: bytes) -> None:
        try:
            self.address = account_of(address_of(account_key))
        except MalformedKey as error:
            raise InvalidAccountKey(str(error.expected), str(error.got)) from None
        self._key = bytes(account_key)

    @classmethod
    def from_file(cls, path: Path, passphrase: str) -> Self:
        """The signer of a key file that `write_file` wrote.

        Raises:
            MalformedKeyFile: the file cannot be read, or is no key file of an account.
            OutOfRange: an empty passphrase.
            WrongPassphrase: it is another one, or bytes of the file were changed.
        """
        require_kind("key file", Path, path)
        try:
            return cls(read_account_key(path, passphrase))
        except (OSError, ValueError) as error:  # a path with a NUL is no path
            got = getattr(error, "strerror", None) or str(error)
            raise MalformedKeyFile(str(path), "a file that can be read", got) from error

    def write_file(self, path: Path, passphrase: str) -> None:
        """Keep the key in an encrypted file of mode 0600, which appears whole or not at all.

        Raises:
            OutOfRange: an empty passphrase.
            UnwritableFolder: the system refuses to write it.
        """
        require_kind("key file", Path, path)
        with writing(path.parent):
            write_account_key(path, self._key, passphrase)

    async def sign(self, digest: bytes) -> bytes:
        """Sign 32 bytes.

        Raises:
            WrongType, OutOfBounds: other than 32 bytes.
        """
        return sign(octets("digest", DIGEST_BYTES, digest), self._key)

    def __repr__(self) -> str:
        return f"KeySigner({self.address})"
