"""The client's side: from a limit order to what leaves the client, and what it keeps."""

import secrets
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from crypto.ciphertext import to_wire
from crypto.commitment import Intent, SealedIntent, address_of, commitment, sign
from crypto.curves import intent_vector
from crypto.opening import OpeningContext, seal_openings, seal_vector
from darkpool.admission.intent import AuctionTerms, LimitOrder, SealedSubmission
from darkpool.admission.opening_file import OpeningFile
from darkpool.errors import OutOfBounds, WrongAuction
from darkpool.limits import CAP_BUCKETS_LOTS, CASH_MAX
from darkpool.units import Cash, InstrumentId, Lots, cap_bucket

_SECRET_BYTES: Final = 32
_NO_MINIMUM: Final = Cash(0)


@dataclass(frozen=True, slots=True)
class SealedOrder:
    """What sealing yields: `submission` goes to the venue, `opening` stays with the client."""

    submission: SealedSubmission
    opening: OpeningFile


def seal_order(
    order: LimitOrder,
    instrument: InstrumentId,
    terms: AuctionTerms,
    account_key: bytes,
    *,
    nonce: int,
    deadline_s: int,
    cap: Lots | None = None,
    others_collateral_min: Cash = _NO_MINIMUM,
) -> SealedOrder:
    """Seal an order, with salt and root seed from the operating system's generator.

    Args:
        order: what the client wants; size 0 for cover traffic.
        instrument: one of the terms' instruments.
        terms: of the interval.
        account_key: secp256k1 private key of the account, 32 bytes.
        nonce: never used before by the account.
        deadline_s: Unix seconds until which the intent may be admitted.
        cap: public upper bound of the size, a bucket; the smallest that covers it and that the
            terms allow, if not given.
            Cover traffic hides best under the cap that the client's orders usually have.

        others_collateral_min: the intent takes part only if other owners have at least so much
            collateral reserved for this instrument's auction; 0 for any. It is public.

    Raises:
        WrongAuction: the terms have no such instrument.
        OutOfBounds: the size is above the largest bucket or above the cap, the cap is no bucket or
            below the least of the terms, the minimum of others' collateral is no amount, or the
            grid has no such tick.
    """
    grid = terms.grids.get(instrument)
    if grid is None:
        raise WrongAuction("instrument", "one of the terms", instrument.hex())
    cap = _cap(order.size, terms.cap_min, cap)
    if not 0 <= others_collateral_min <= CASH_MAX:
        raise OutOfBounds("minimum of others' collateral", 0, CASH_MAX, others_collateral_min)
    if not 0 <= order.limit < grid.ticks:
        raise OutOfBounds("limit tick", 0, grid.ticks - 1, order.limit)
    intent = Intent(
        account=address_of(account_key),
        instrument=instrument,
        interval=terms.interval,
        side=order.side,
        size=order.size,
        limit_tick=order.limit,
        nonce=nonce,
        salt=secrets.token_bytes(_SECRET_BYTES),
        root_seed=secrets.token_bytes(_SECRET_BYTES),
    )
    vector = intent_vector(
        terms.material.order.public.ring, grid.ticks, intent.side, intent.size, intent.limit_tick
    )
    submission = seal_intent(
        intent,
        vector,
        terms,
        account_key,
        deadline_s=deadline_s,
        cap=cap,
        others_collateral_min=others_collateral_min,
    )
    return SealedOrder(
        submission, OpeningFile(intent, terms.domain, terms.material.committee.epoch, grid.ticks)
    )


def seal_intent(
    intent: Intent,
    vector: npt.NDArray[np.int64],
    terms: AuctionTerms,
    account_key: bytes,
    *,
    deadline_s: int,
    cap: Lots,
    others_collateral_min: Cash = _NO_MINIMUM,
) -> SealedSubmission:
    """Commit to an intent, seal a slot vector, prove to know it, and sign.

    That the vector is the intent's is the caller's to see to. The result is a function of the
    arguments, but for the envelopes, which take fresh keys.

    Args:
        intent: committed to; its root seed is the only secret of the encryption.
        vector: residues mod t of the order ring's slots, shape (degree,).
        terms: of the interval.
        account_key: secp256k1 private key of the intent's account, 32 bytes.
        deadline_s: Unix seconds until which the intent may be admitted.
        cap: public upper bound of the size.
        others_collateral_min: what other owners have to have reserved in the auction, cash units.

    Raises:
        OutOfRange: wrong shape of the vector, or an entry outside [0, t).
    """
    material, committee = terms.material, terms.material.committee
    context = OpeningContext(
        terms.domain.chain_id,
        terms.domain.verifying_contract,
        committee.epoch,
        intent.interval,
        intent.instrument,
        intent.account,
        intent.nonce,
    )
    sealed_vector = seal_vector(material.order.public, committee, vector, intent.root_seed, context)
    sealed = SealedIntent(
        account=intent.account,
        instrument=intent.instrument,
        interval=intent.interval,
        commitment=commitment(intent, terms.domain),
        ciphertext_digest=sealed_vector.ciphertext.digest(),
        cap=cap,
        nonce=intent.nonce,
        deadline=deadline_s,
        key_epoch=committee.epoch,
        others_collateral_min=others_collateral_min,
    )
    return SealedSubmission(
        sealed,
        sign(sealed.digest(terms.domain), account_key),
        to_wire(sealed_vector.ciphertext),
        seal_openings(material, sealed_vector, sealed, terms.domain),
    )


def _cap(size: Lots, cap_min: Lots, cap: Lots | None) -> Lots:
    smallest = max(cap_bucket(size), cap_min)
    if cap is None:
        return smallest
    if cap not in CAP_BUCKETS_LOTS or cap < smallest:
        raise OutOfBounds("cap in lots, a bucket", smallest, CAP_BUCKETS_LOTS[-1], cap)
    return cap
