"""A client that seals whatever it likes, and does everything else as the protocol says."""

import secrets
from typing import Final

from crypto.commitment import Intent, address_of
from crypto.curves import BUY
from darkpool.admission.intent import AuctionTerms, SealedSubmission
from darkpool.admission.sealing import seal_slots
from darkpool.units import InstrumentId, Lots
from darkpool.wargames.draft import Vector

_SECRET_BYTES: Final = 32


def seal_as_attacker(
    vector: Vector,
    instrument: InstrumentId,
    terms: AuctionTerms,
    account_key: bytes,
    *,
    nonce: int,
    deadline_s: int,
    cap: Lots,
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
        deadline_s: Unix seconds until which the intent may be admitted.
        cap: as stated, in lots; not checked.

    Raises:
        OutOfRange: wrong shape of the vector, or an entry outside [0, t).
    """
    intent = Intent(
        account=address_of(account_key),
        instrument=instrument,
        interval=terms.interval,
        side=BUY,
        size=0,
        limit_tick=0,
        nonce=nonce,
        salt=secrets.token_bytes(_SECRET_BYTES),
        root_seed=secrets.token_bytes(_SECRET_BYTES),
    )
    return seal_slots(intent, vector, terms, account_key, deadline_s=deadline_s, cap=cap)
