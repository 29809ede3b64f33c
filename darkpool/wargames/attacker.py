"""A client that seals whatever it likes, and does everything else as the protocol says."""

from dataclasses import replace

from crypto.signing.ecdsa import address_of, sign
from darkpool.client.sealing import PublicLimits, draw_intent, seal_slots
from darkpool.client.standing_orders import COVER
from darkpool.protocol.intents import SealedSubmission
from darkpool.protocol.terms import IntervalTerms
from darkpool.units import InstrumentId, Lots
from darkpool.wargames.draft import Vector


def seal_as_attacker(
    vector: Vector,
    instrument: InstrumentId,
    terms: IntervalTerms,
    account_key: bytes,
    nonce: int,
    limits: PublicLimits,
    minimum_fill: bool = False,
) -> SealedSubmission:
    """Seal a raw slot vector in place of an order.

    The account signs it, the envelopes open, and the proof of knowledge is true: the sender knows
    what it sealed. So admission has nothing to refuse but the plaintext itself. The commitment is
    to cover traffic, which nobody but the attacker could ever open.

    Args:
        vector: residues mod t of the order ring's slots, shape (degree,).
        instrument: as stated; not checked.
        terms: of the interval.
        account_key: secp256k1 private key of the attacker's account, 32 bytes.
        nonce: never used before by the account.
        limits: as stated in public; not checked.
        minimum_fill: whether it says that it is a minimum-fill order.

    Raises:
        OutOfRange: wrong shape of the vector, or an entry outside [0, t).
    """
    cover = replace(COVER, minimum=Lots(int(minimum_fill)))
    intent = draw_intent(cover, instrument, terms.interval, address_of(account_key), nonce)
    unsigned = seal_slots(intent, vector, terms, limits)
    return unsigned.signed(sign(unsigned.digest, account_key))
