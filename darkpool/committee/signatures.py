"""Signatures of keypers, checked before they count: a contract refuses a list with a bad one."""

from __future__ import annotations

from collections.abc import Callable

from crypto.signing.ecdsa import verify_signature
from darkpool.protocol.keyper import Keyper
from darkpool.units import account_bytes


def signed_by_asked(
    digest_of: Callable[[int], bytes], question: Callable[[Keyper], bytes]
) -> Callable[[Keyper], bytes]:
    """A question whose answer is the signature of the keyper that is asked.

    The question raises InvalidSignature where the answer is no such signature.

    Args:
        digest_of: the 32 bytes that a keyper of some number signs.
    """

    def signature(keyper: Keyper) -> bytes:
        signed = question(keyper)
        verify_signature(digest_of(keyper.number), signed, account_bytes(keyper.address))
        return signed

    return signature
