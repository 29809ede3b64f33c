"""What virtual parties compute, kept where several keypers of one process need it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Final, Generic, TypeVar

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import PublicKey
from crypto.ring.ring import Words
from crypto.threshold.decryption import decryption_share
from crypto.threshold.keys import PublicMaterial
from crypto.threshold.knowledge import EncryptedShare, KnowledgeContext, encrypt_share
from crypto.threshold.masks import Contribution, Draw, contribute
from crypto.threshold.rebuilding import rebuilt

_SHARES_KEPT: Final = 64
_CONTRIBUTIONS_KEPT: Final = 4
_ENCRYPTIONS_KEPT: Final = 8

Result = TypeVar("Result")


class _Recent(Generic[Result]):
    """The last results by name, each computed once, whichever threads ask for it.

    Every keyper gets an object of its own over words that cannot be changed: what one does to it,
    the others do not see.
    """

    def __init__(self, kind: type[Result], kept: int) -> None:
        self._kind = kind
        self._kept = kept
        self._lock = threading.Lock()
        self._results: dict[Hashable, Future[Result]] = {}

    def get(self, name: Hashable, compute: Callable[[], Result]) -> Result:
        """A result that is kept or being computed, or else computed here."""
        with self._lock:
            future = self._results.get(name)
            if future is None:
                while len(self._results) >= self._kept:
                    del self._results[next(iter(self._results))]
                mine: Future[Result] = Future()
                self._results[name] = mine
        if future is not None:
            return rebuilt(self._kind, future.result())
        try:
            mine.set_result(rebuilt(self._kind, compute()))
        except BaseException as error:
            mine.set_exception(error)
            with self._lock:
                if self._results.get(name) is mine:
                    del self._results[name]
            raise
        return rebuilt(self._kind, mine.result())

    def forget(self) -> None:
        """Keep none of them any longer."""
        with self._lock:
            self._results.clear()


class ShareWork:
    """What virtual parties compute: pure functions of a share's seed and public data.

    Keypers of one process give the same answers, so they share the last results instead of
    computing each three times. A keyper of its own process has its own.
    """

    def __init__(self) -> None:
        self._shares: _Recent[Words] = _Recent(Words, _SHARES_KEPT)
        self._contributions: _Recent[Contribution] = _Recent(Contribution, _CONTRIBUTIONS_KEPT)
        self._encryptions: _Recent[EncryptedShare] = _Recent(EncryptedShare, _ENCRYPTIONS_KEPT)

    def encrypted_share(
        self, key: PublicKey, share: int, seed: bytes, last_vector: bytes, context: KnowledgeContext
    ) -> EncryptedShare:
        """See `crypto.threshold.knowledge.encrypt_share`."""
        return self._encryptions.get(
            (share, seed, last_vector, context),
            lambda: encrypt_share(key, share, seed, last_vector, context),
        )

    def decryption_share(self, ciphertext: Ciphertext, epoch: int, seed: bytes) -> Words:
        """See `crypto.threshold.decryption.decryption_share`."""
        return self._shares.get(
            (seed, epoch, ciphertext.digest()), lambda: decryption_share(ciphertext, epoch, seed)
        )

    def contribution(
        self, material: PublicMaterial, draw: Draw, share: int, seed: bytes
    ) -> Contribution:
        """See `crypto.threshold.masks.contribute`."""
        return self._contributions.get(
            (*draw.fields(), share, seed), lambda: contribute(material, draw, share, seed)
        )

    def forget_contributions(self) -> None:
        """Keep no contribution any longer: those of one large mask are hundreds of megabytes."""
        self._contributions.forget()
