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
from darkpool.errors import OutOfBounds, WrongAuction, WrongSignature
from darkpool.limits import CAP_BUCKETS_LOTS
from darkpool.units import InstrumentId, Interval, Lots, PriceGrid, cap_bucket

_SECRET_BYTES: Final = 32


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
) -> SealedOrder:
    """Draw an intent and seal it.

    Args:
        order: what the client wants; size 0 for cover traffic.
        instrument: one of the terms' instruments.
        terms: of the interval.
        account_key: secp256k1 private key of the account, 32 bytes.
        nonce: never used before by the account.
        deadline_s: Unix seconds until which the intent may be admitted.
        cap: public upper bound of the size, a bucket; the smallest that covers it if not given.
            Cover traffic hides best under the cap that the client's orders usually have.

    Raises:
        WrongAuction, OutOfBounds: see `seal_intent`.
    """
    intent = draw_intent(order, instrument, terms.interval, address_of(account_key), nonce)
    return seal_intent(intent, terms, account_key, deadline_s=deadline_s, cap=cap)


def draw_intent(
    order: LimitOrder, instrument: InstrumentId, interval: Interval, account: bytes, nonce: int
) -> Intent:
    """An order with all that its sealing depends on: salt and root seed come from the system.

    Args:
        order: what the client wants.
        instrument: 32 bytes.
        interval: of the auction.
        account: address, 20 bytes.
        nonce: never used before by the account.
    """
    return Intent(
        account=account,
        instrument=instrument,
        interval=interval,
        side=order.side,
        size=order.size,
        limit_tick=order.limit,
        nonce=nonce,
        salt=secrets.token_bytes(_SECRET_BYTES),
        root_seed=secrets.token_bytes(_SECRET_BYTES),
    )


def seal_intent(
    intent: Intent,
    terms: AuctionTerms,
    account_key: bytes,
    *,
    deadline_s: int,
    cap: Lots | None = None,
) -> SealedOrder:
    """Seal a drawn intent: the same arguments give the same bytes, but for the envelopes.

    Commitment, ciphertext and signature are functions of the arguments. The envelopes hold the same
    openings each time, under fresh randomness: whoever wants to send the same bytes again keeps
    them.

    Args:
        intent: of the terms' interval, and of the account whose key is given.
        terms: of the interval.
        account_key: secp256k1 private key of the account, 32 bytes.
        deadline_s: Unix seconds until which the intent may be admitted.
        cap: public upper bound of the size, a bucket; the smallest that covers it if not given.

    Raises:
        WrongAuction: the terms are of another interval, or have no such instrument.
        WrongSignature: the key is not that of the intent's account.
        OutOfBounds: the size is above the largest bucket or above the cap, the cap is no bucket, or
            the grid has no such tick.
    """
    grid = _grid(intent, terms)
    if (signer := address_of(account_key)) != intent.account:
        raise WrongSignature("account", intent.account.hex(), signer.hex())
    cap = _cap(Lots(intent.size), cap)
    if not 0 <= intent.limit_tick < grid.ticks:
        raise OutOfBounds("limit tick", 0, grid.ticks - 1, intent.limit_tick)
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
        nonce=intent.nonce,
        deadline=deadline_s,
        key_epoch=committee.epoch,
    )
    submission = SealedSubmission(
        sealed,
        sign(sealed.digest(terms.domain), account_key),
        to_wire(sealed_vector.ciphertext),
        seal_openings(material, sealed_vector, sealed, terms.domain),
    )
    return SealedOrder(submission, OpeningFile(intent, terms.domain, committee.epoch, grid.ticks))


def _grid(intent: Intent, terms: AuctionTerms) -> PriceGrid:
    if intent.interval != terms.interval:
        raise WrongAuction("interval", str(terms.interval), str(intent.interval))
    grid = terms.grids.get(InstrumentId(intent.instrument))
    if grid is None:
        raise WrongAuction("instrument", "one of the terms", intent.instrument.hex())
    return grid


def _cap(size: Lots, cap: Lots | None) -> Lots:
    smallest = cap_bucket(size)
    if cap is None:
        return smallest
    if cap not in CAP_BUCKETS_LOTS or cap < smallest:
        raise OutOfBounds("cap in lots, a bucket", smallest, CAP_BUCKETS_LOTS[-1], cap)
    return cap
