"""The client's side: from an order to a sealed submission, and an opening that it alone has."""

import secrets
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from crypto.bfv.ciphertext import to_wire
from crypto.circuits.curves import CurveLayout
from crypto.errors import InvalidSignature
from crypto.signing.ecdsa import verify_signature
from crypto.signing.messages import Intent, SealedIntent, commitment
from crypto.threshold.knowledge import KnowledgeContext, VectorSealing, seal_proofs
from darkpool.client.opening_file import OpeningFile
from darkpool.client.signer import Signer, account_of_signer, signature_of
from darkpool.limits import CASH_MAX
from darkpool.protocol.intents import LimitOrder, SealedSubmission
from darkpool.protocol.refusals import WrongAuction, WrongSignature
from darkpool.protocol.terms import IntervalTerms
from darkpool.units import (
    ADDRESS_BYTES,
    INSTRUMENT_BYTES,
    NUMBER_MAX,
    Cash,
    InstrumentId,
    Interval,
    Lots,
    PriceGrid,
    account_bytes,
    cap_bucket,
    octets,
    require_bucket,
    require_kind,
    within,
)

_SECRET_BYTES: Final = 32
_NO_MINIMUM: Final = Cash(0)


@dataclass(frozen=True, slots=True)
class SealedOrder:
    """What a client sends, and what it keeps to be able to prove later what it sent."""

    submission: SealedSubmission
    opening: OpeningFile


@dataclass(frozen=True, slots=True)
class UnsignedSubmission:
    """A submission that lacks its account's signature of `digest`; other fields are as there."""

    sealed: SealedIntent
    digest: bytes
    ciphertext: bytes
    envelopes: tuple[bytes, ...]

    def signed(self, signature: bytes) -> SealedSubmission:
        """The whole submission.

        Raises:
            WrongSignature: the intent's account did not sign the digest.
        """
        try:
            verify_signature(self.digest, signature, self.sealed.account)
        except InvalidSignature as error:
            subject = f"account's signature, {error.subject}"
            raise WrongSignature(subject, error.expected, error.got) from error
        return SealedSubmission(self.sealed, signature, self.ciphertext, self.envelopes)


@dataclass(frozen=True, slots=True)
class PublicLimits:
    """What a client states of an intent in public, beside account, instrument and nonce.

    Attributes:
        deadline_s: Unix seconds until which the intent may be admitted.
        cap: upper bound of the size, a bucket; `smallest_cap` gives the least that an order may
            have. Cover traffic hides best under the cap that the client's orders usually have.
        others_collateral_min: the intent takes part only if other owners have at least so much
            collateral reserved for this instrument's auction; 0 for any.

    Raises:
        WrongType, OutOfBounds, NoBucket: a number that is no whole one or out of its bounds, or a
            cap that is no bucket.
    """

    deadline_s: int
    cap: Lots
    others_collateral_min: Cash = _NO_MINIMUM

    def __post_init__(self) -> None:
        others = self.others_collateral_min
        checked = {
            "deadline_s": within("deadline in Unix seconds", 0, NUMBER_MAX, self.deadline_s),
            "cap": require_bucket("cap", self.cap),
            "others_collateral_min": within(
                "minimum of others' collateral in cash units", 0, CASH_MAX, others
            ),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)


def smallest_cap(size: Lots, terms: IntervalTerms) -> Lots:
    """The smallest bucket that covers a size and that the terms allow.

    Raises:
        WrongType, OutOfBounds: a size that is no whole number, or above the largest bucket.
    """
    return max(cap_bucket(size), terms.rules.cap_min)


async def seal_order(
    order: LimitOrder,
    instrument: InstrumentId,
    terms: IntervalTerms,
    signer: Signer,
    nonce: int,
    limits: PublicLimits,
) -> SealedOrder:
    """Draw an intent, seal it and have it signed.

    Args:
        order: what the client wants; size 0 for cover traffic.
        instrument: one of the terms' instruments.
        terms: of the interval.
        signer: of the account.
        nonce: never used before by the account.
        limits: what is stated in public.

    Raises:
        WrongType: an argument of another kind.
        WrongAuction, OutOfBounds, NoBucket: see `seal_intent`.
        WrongSignature: the signer's answer is no signature of its address.
    """
    require_kind("terms", IntervalTerms, terms)
    account = account_bytes(account_of_signer(signer))
    intent = draw_intent(order, instrument, terms.interval, account, nonce)
    unsigned = seal_intent(intent, terms, limits)
    submission = unsigned.signed(await signature_of(signer, unsigned.digest))
    return SealedOrder(submission, opening_of(intent, terms))


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

    Raises:
        WrongType, OutOfBounds: no order, or a number or bytes that do not fit.
    """
    require_kind("order", LimitOrder, order)
    return Intent(
        account=octets("account", ADDRESS_BYTES, account),
        instrument=octets("instrument", INSTRUMENT_BYTES, instrument),
        interval=within("interval", 0, NUMBER_MAX, interval),
        side=order.side,
        size=order.size,
        limit_tick=order.limit,
        nonce=within("nonce", 0, NUMBER_MAX, nonce),
        salt=secrets.token_bytes(_SECRET_BYTES),
        root_seed=secrets.token_bytes(_SECRET_BYTES),
        minimum=order.minimum,
    )


def seal_intent(intent: Intent, terms: IntervalTerms, limits: PublicLimits) -> UnsignedSubmission:
    """Seal a drawn intent: the same arguments give the same bytes, but for the envelopes.

    Args:
        intent: of the terms' interval.
        terms: of the interval.
        limits: what is stated in public.

    Raises:
        WrongType: an argument of another kind.
        WrongAuction: the terms are of another interval, or have no such instrument.
        OutOfBounds: the size is above the largest bucket, the minimum is above the size, or the
            grid has no such tick.
        NoBucket: the cap is below the size or below the least of the terms.
    """
    require_kind("intent", Intent, intent)
    require_kind("limits", PublicLimits, limits)
    grid = _grid(intent, terms)
    require_bucket("cap", limits.cap, smallest_cap(Lots(intent.size), terms))
    within("limit tick", 0, grid.ticks - 1, intent.limit_tick)
    within("minimum in lots", 0, max(intent.size, 1), intent.minimum)
    vector = CurveLayout(terms.material.parameters.order_ring, grid.ticks).vector(
        intent.side, intent.size, intent.limit_tick, intent.minimum
    )
    return seal_slots(intent, vector, terms, limits)


def opening_of(intent: Intent, terms: IntervalTerms) -> OpeningFile:
    """What opens an intent that was sealed for an interval."""
    return OpeningFile(intent, terms.domain, terms.material.committee.epoch, terms.ticks)


def seal_slots(
    intent: Intent, vector: npt.NDArray[np.int64], terms: IntervalTerms, limits: PublicLimits
) -> UnsignedSubmission:
    """Commit to an intent, seal a slot vector, and prove to know it.

    That the vector is the intent's, and the terms', is the caller's to see to. Commitment and
    ciphertext are functions of the arguments. The envelopes hold the same proofs each time, under
    fresh randomness: a client that wants to send the same bytes again keeps them.

    Args:
        intent: committed to; its root seed is the only secret of the encryption.
        vector: residues mod t of the order ring's slots, shape (degree,).
        terms: of the interval.
        limits: what is stated in public; not compared with the intent.

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
        terms=terms.digest,
    )
    return UnsignedSubmission(
        sealed,
        sealed.digest(terms.domain),
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
