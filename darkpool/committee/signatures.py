"""Signatures of keypers, checked before they count: a contract refuses a list with a bad one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crypto.signing.ecdsa import verify_signature
from darkpool.committee.quorum import KeyperPanel
from darkpool.protocol.keyper import Keyper
from darkpool.units import AccountId, account_bytes, account_id


class SignatureQuorum:
    """Asks keypers to sign, and counts who did.

    A signature counts for the number and the address that its keyper had when the committee began:
    a keyper cannot answer in another's name.

    Attributes:
        panel: the keypers.
        addresses: those that the keypers sign with, in keyper order.
    """

    def __init__(self, panel: KeyperPanel[Keyper], quorum: int) -> None:
        self.panel = panel
        self._quorum = quorum
        told = panel.ask_quorum(lambda keyper: account_id(keyper.address), len(panel.keypers))
        self.addresses: tuple[AccountId, ...] = tuple(told.values())

    def ask(
        self, question: Callable[[Keyper], bytes], digest_of: Callable[[int], bytes]
    ) -> Mapping[int, bytes]:
        """Signatures by keyper, of a quorum at least.

        Args:
            digest_of: the 32 bytes that a keyper of some number signs.

        Raises:
            Exception: of the first keyper that failed, where fewer than a quorum signed.
        """

        def signature(keyper: Keyper) -> bytes:
            signed, address = question(keyper), self.addresses[keyper.number]
            verify_signature(digest_of(keyper.number), signed, account_bytes(address))
            return signed

        return self.panel.ask_quorum(signature, self._quorum)
