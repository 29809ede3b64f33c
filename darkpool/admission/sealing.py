"""The client's side: from a limit order to what leaves the client, and what it keeps."""

import secrets
from dataclasses import dataclass
from typing import Final

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
    material, committee = terms.material, terms.material.committee
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
    context = OpeningContext(
        terms.domain.chain_id,
        terms.domain.verifying_contract,
        committee.epoch,
        intent.interval,
        intent.instrument,
        intent.account,
        nonce,
    )
    key = material.order.public
    vector = intent_vector(key.ring, grid.ticks, intent.side, intent.size, intent.limit_tick)
    sealed_vector = seal_vector(key, committee, vector, intent.root_seed, context)
    sealed = SealedIntent(
        account=intent.account,
        instrument=intent.instrument,
        interval=intent.interval,
        commitment=commitment(intent, terms.domain),
        ciphertext_digest=sealed_vector.ciphertext.digest(),
        cap=cap,
        nonce=nonce,
        deadline=deadline_s,
        key_epoch=committee.epoch,
        others_collateral_min=others_collateral_min,
    )
    submission = SealedSubmission(
        sealed,
        sign(sealed.digest(terms.domain), account_key),
        to_wire(sealed_vector.ciphertext),
        seal_openings(material, sealed_vector, sealed, terms.domain),
    )
    return SealedOrder(submission, OpeningFile(intent, terms.domain, committee.epoch, grid.ticks))


def _cap(size: Lots, cap_min: Lots, cap: Lots | None) -> Lots:
    smallest = max(cap_bucket(size), cap_min)
    if cap is None:
        return smallest
    if cap not in CAP_BUCKETS_LOTS or cap < smallest:
        raise OutOfBounds("cap in lots, a bucket", smallest, CAP_BUCKETS_LOTS[-1], cap)
    return cap
