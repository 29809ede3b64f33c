"""The client's side: from an order to a sealed submission, and an opening that it alone has."""

import secrets
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from crypto.bfv.ciphertext import to_wire
from crypto.circuits.curves import CurveLayout
from crypto.signing.ecdsa import address_of, sign
from crypto.signing.messages import Intent, SealedIntent, commitment
from crypto.threshold.knowledge import KnowledgeContext, VectorSealing, seal_proofs
from darkpool.client.opening_file import OpeningFile
from darkpool.errors import OutOfBounds
from darkpool.limits import CASH_MAX
from darkpool.protocol.intents import LimitOrder, SealedSubmission
from darkpool.protocol.refusals import WrongAuction, WrongSignature
from darkpool.protocol.terms import IntervalTerms
from darkpool.units import Cash, InstrumentId, Interval, Lots, PriceGrid, cap_bucket, require_bucket

_SECRET_BYTES: Final = 32
_NO_MINIMUM: Final = Cash(0)


@dataclass(frozen=True, slots=True)
class SealedOrder:
    """What a client sends, and what it keeps to be able to prove later what it sent."""

    submission: SealedSubmission
    opening: OpeningFile


@dataclass(frozen=True, slots=True)
class PublicLimits:
    """What a client states of an intent in public, beside account, instrument and nonce.

    Attributes:
        deadline_s: Unix seconds until which the intent may be admitted.
        cap: upper bound of the size, a bucket; `smallest_cap` gives the least that an order may
            have. Cover traffic hides best under the cap that the client's orders usually have.
        others_collateral_min: the intent takes part only if other owners have at least so much
            collateral reserved for this instrument's auction; 0 for any.
    """

    deadline_s: int
    cap: Lots
    others_collateral_min: Cash = _NO_MINIMUM


def smallest_cap(size: Lots, terms: IntervalTerms) -> Lots:
    """The smallest bucket that covers a size and that the terms allow.

    Raises:
        OutOfBounds: a size above the largest bucket.
    """
    return max(cap_bucket(size), terms.rules.cap_min)


def seal_order(
    order: LimitOrder,
    instrument: InstrumentId,
    terms: IntervalTerms,
    account_key: bytes,
    nonce: int,
    limits: PublicLimits,
) -> SealedOrder:
    """Draw an intent and seal it.

    Args:
        order: what the client wants; size 0 for cover traffic.
        instrument: one of the terms' instruments.
        terms: of the interval.
        account_key: secp256k1 private key of the account, 32 bytes.
        nonce: never used before by the account.
        limits: what is stated in public.

    Raises:
        WrongAuction, OutOfBounds, NoBucket: see `seal_intent`.
    """
    intent = draw_intent(order, instrument, terms.interval, address_of(account_key), nonce)
    return seal_intent(intent, terms, account_key, limits)


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
        minimum=order.minimum,
    )


def seal_intent(
    intent: Intent,
    terms: IntervalTerms,
    account_key: bytes,
    limits: PublicLimits,
) -> SealedOrder:
    """Seal a drawn intent: the same arguments give the same bytes, but for the envelopes.

    Args:
        intent: of the terms' interval, and of the account whose key is given.
        terms: of the interval.
        account_key: secp256k1 private key of the account, 32 bytes.
        limits: what is stated in public.

    Raises:
        WrongAuction: the terms are of another interval, or have no such instrument.
        WrongSignature: the key is not that of the intent's account.
        OutOfBounds: the size is above the largest bucket, the minimum is above the size, the
            minimum of others' collateral is no amount, or the grid has no such tick.
        NoBucket: the cap is no bucket, below the size or below the least of the terms.
    """
    grid = _grid(intent, terms)
    if (signer := address_of(account_key)) != intent.account:
        raise WrongSignature("account", intent.account.hex(), signer.hex())
    _require_limits(limits, smallest_cap(Lots(intent.size), terms))
    if not 0 <= intent.limit_tick < grid.ticks:
        raise OutOfBounds("limit tick", 0, grid.ticks - 1, intent.limit_tick)
    if not 0 <= intent.minimum <= max(intent.size, 1):
        raise OutOfBounds("minimum in lots", 0, max(intent.size, 1), intent.minimum)
    vector = CurveLayout(terms.material.parameters.order_ring, grid.ticks).vector(
        intent.side, intent.size, intent.limit_tick, intent.minimum
    )
    submission = seal_slots(intent, vector, terms, account_key, limits)
    epoch = terms.material.committee.epoch
    return SealedOrder(submission, OpeningFile(intent, terms.domain, epoch, grid.ticks))


def seal_slots(
    intent: Intent,
    vector: npt.NDArray[np.int64],
    terms: IntervalTerms,
    account_key: bytes,
    limits: PublicLimits,
) -> SealedSubmission:
    """Commit to an intent, seal a slot vector, prove to know it, and sign.

    That the vector is the intent's, and the terms', is the caller's to see to. Commitment,
    ciphertext and signature are functions of the arguments. The envelopes hold the same proofs each
    time, under fresh randomness: a client that wants to send the same bytes again keeps them.

    Args:
        intent: committed to; its root seed is the only secret of the encryption.
        vector: residues mod t of the order ring's slots, shape (degree,).
        terms: of the interval.
        account_key: secp256k1 private key of the intent's account, 32 bytes.
        limits: what is stated in public; not checked.

    Raises:
        OutOfRange: wrong shape of the vector, or an entry outside [0, t).
    """
    material, committee = terms.material, terms.material.committee
    context = KnowledgeContext(
        terms.domain.chain_id,
        terms.domain.verifying_contract,
        committee.epoch,
        intent.interval,
        intent.instrument,
        intent.account,
        intent.nonce,
    )
    sealed_vector = VectorSealing.of(material, context).seal(vector, intent.root_seed)
    sealed = SealedIntent(
        account=intent.account,
        instrument=intent.instrument,
        interval=intent.interval,
        commitment=commitment(intent, terms.domain),
        ciphertext_digest=sealed_vector.ciphertext.digest(),
        cap=limits.cap,
        nonce=intent.nonce,
        deadline=limits.deadline_s,
        key_epoch=committee.epoch,
        others_collateral_min=limits.others_collateral_min,
        minimum_fill=intent.minimum > 0,
    )
    return SealedSubmission(
        sealed,
        sign(sealed.digest(terms.domain), account_key),
        to_wire(sealed_vector.ciphertext),
        seal_proofs(material, sealed_vector, sealed, terms.domain),
    )


def _grid(intent: Intent, terms: IntervalTerms) -> PriceGrid:
    if intent.interval != terms.interval:
        raise WrongAuction("interval", str(terms.interval), str(intent.interval))
    grid = terms.grids.get(InstrumentId(intent.instrument))
    if grid is None:
        raise WrongAuction("instrument", "one of the terms", intent.instrument.hex())
    return grid


def _require_limits(limits: PublicLimits, cap_min: Lots) -> None:
    require_bucket("cap", limits.cap, cap_min)
    others = limits.others_collateral_min
    if not 0 <= others <= CASH_MAX:
        raise OutOfBounds("minimum of others' collateral in cash units", 0, CASH_MAX, others)
