"""What has been admitted: what may come once only, and the sums of caps."""

from collections import Counter

from crypto.commitment import SealedIntent
from darkpool.errors import (
    AuctionFull,
    CapRefused,
    CiphertextSeen,
    NonceUsed,
    SecondIntent,
    TooManyIntents,
)
from darkpool.limits import CAPS_SUM_MAX_LOTS, INTENTS_PER_ACCOUNT_MAX


class AdmissionRegister:
    """What has been admitted, across intervals: what may come once only, and the sums of caps."""

    def __init__(self) -> None:
        self._nonces: set[tuple[bytes, int]] = set()
        self._ciphertexts: set[bytes] = set()
        self._intents: set[tuple[bytes, bytes, int]] = set()
        self._caps_lots: Counter[tuple[bytes, int]] = Counter()
        self._counts: Counter[tuple[bytes, int]] = Counter()
        self._turns: Counter[tuple[bytes, bytes, int]] = Counter()

    def require_new(self, sealed: SealedIntent, intents_max: int) -> None:
        """Check an intent against everything admitted before.

        Raises:
            NonceUsed, SecondIntent, TooManyIntents, CiphertextSeen, AuctionFull, CapRefused: see
                there.
        """
        auction = (sealed.instrument, sealed.interval)
        if (sealed.account, sealed.nonce) in self._nonces:
            raise NonceUsed("nonce", "one not used before", str(sealed.nonce))
        if (sealed.account, *auction) in self._intents:
            raise SecondIntent("account", "one intent for each instrument and interval", "a second")
        if self._turns[sealed.account, *auction] >= INTENTS_PER_ACCOUNT_MAX:
            expected = f"at most {INTENTS_PER_ACCOUNT_MAX} for each instrument and interval"
            raise TooManyIntents(
                "intents of the account, one after the other", expected, "one more"
            )
        if sealed.ciphertext_digest in self._ciphertexts:
            digest = sealed.ciphertext_digest.hex()
            raise CiphertextSeen("ciphertext", "one not admitted before", digest)
        if self._counts[auction] >= intents_max:
            raise AuctionFull("auction", f"at most {intents_max} intents", "one more")
        total = self._caps_lots[auction] + sealed.cap
        if total > CAPS_SUM_MAX_LOTS:
            expected = f"at most {CAPS_SUM_MAX_LOTS} lots for all intents together"
            raise CapRefused("sum of caps", expected, f"{total} with this one")

    def record(self, sealed: SealedIntent) -> None:
        """Note an admitted intent."""
        auction = (sealed.instrument, sealed.interval)
        self._nonces.add((sealed.account, sealed.nonce))
        self._intents.add((sealed.account, *auction))
        self._turns[sealed.account, *auction] += 1
        self._ciphertexts.add(sealed.ciphertext_digest)
        self._counts[auction] += 1
        self._caps_lots[auction] += sealed.cap

    def cancel(self, sealed: SealedIntent) -> None:
        """Free the place and the cap of a recorded intent; nonce and ciphertext stay used."""
        auction = (sealed.instrument, sealed.interval)
        self._intents.remove((sealed.account, *auction))
        self._counts[auction] -= 1
        self._caps_lots[auction] -= sealed.cap
