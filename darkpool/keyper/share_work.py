"""What virtual parties compute, kept where several keypers of one process need it."""

from __future__ import annotations

from typing import Final

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import PublicKey
from crypto.ring.ring import Words
from crypto.threshold.decryption import decryption_share
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.knowledge import (
    EncryptedShare,
    KnowledgeContext,
    encrypt_share,
)
from crypto.threshold.masks import Contribution, Draw, contribute

_KEEP: Final = 64


_KEEP_ENCRYPTIONS: Final = 8


class ShareWork:
    """What virtual parties compute: pure functions of a share's seed and public data.

    Keypers of one process give the same answers, so they share the last results instead of
    computing each three times. A keyper of its own process has its own.
    """

    def __init__(self) -> None:
        self._shares: dict[tuple[bytes, int, bytes], Words] = {}
        self._contributions: dict[tuple[object, ...], Contribution] = {}
        self._encryptions: dict[tuple[object, ...], EncryptedShare] = {}

    def encrypted_share(
        self, key: PublicKey, share: int, seed: bytes, last_vector: bytes, context: KnowledgeContext
    ) -> EncryptedShare:
        """See `encrypt_share`; the results of the last intents are kept."""
        name = (share, seed, last_vector, context)
        if name not in self._encryptions:
            if len(self._encryptions) >= _KEEP_ENCRYPTIONS:
                self._encryptions.clear()
            self._encryptions[name] = encrypt_share(key, share, seed, last_vector, context)
        return self._encryptions[name]

    def decryption_share(self, ciphertext: Ciphertext, epoch: int, seed: bytes) -> Words:
        """See `crypto.threshold.decryption.decryption_share`."""
        key = (seed, epoch, ciphertext.digest())
        if key not in self._shares:
            if len(self._shares) >= _KEEP:
                self._shares.clear()
            self._shares[key] = decryption_share(ciphertext, epoch, seed)
        return self._shares[key]

    def contribution(
        self, material: PublicMaterial, draw: Draw, share: int, seed: bytes
    ) -> Contribution:
        """See `crypto.threshold.masks.contribute`; the results of one draw are kept."""
        key = (*draw.fields(), share, seed)
        if key not in self._contributions:
            if len(self._contributions) >= material.committee.size:
                self._contributions.clear()
            self._contributions[key] = contribute(material, draw, share, seed)
        return self._contributions[key]
