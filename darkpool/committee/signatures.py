"""Signatures of keypers, checked before they count: a contract refuses a list with a bad one."""

from __future__ import annotations

from collections.abc import Callable

from crypto.signing.ecdsa import verify_signature
from darkpool.protocol.keyper import Keyper
from darkpool.units import account_bytes


def signed_by_asked(
    digest: bytes, question: Callable[[Keyper], bytes]
) -> Callable[[Keyper], bytes]:
    """A question whose answer is the signature, of the keyper that is asked, on a digest.

    To ask it raises InvalidSignature where the answer is no such signature.
    """

    def signature(keyper: Keyper) -> bytes:
        signed = question(keyper)
        verify_signature(digest, signed, account_bytes(keyper.address))
        return signed

    return signature
