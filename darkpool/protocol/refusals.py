"""Why a submission takes no part: one class a reason, each with a stable code for programs."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from darkpool.errors import BadInput, CheckFailed


class RefusalCode(StrEnum):
    """Every code that can reach a client: of an admission, of reference prices, of margin."""

    MALFORMED = "malformed"
    SIGNATURE = "signature"
    AUCTION = "auction"
    KEY_EPOCH = "key-epoch"
    TERMS = "terms"
    DEADLINE = "deadline"
    CAP = "cap"
    FULL = "full"
    NONCE = "nonce"
    SECOND_INTENT = "second-intent"
    SECOND_INTENT_OF_OWNER = "second-intent-of-owner"
    CAP_MIN = "cap-min"
    REJECTIONS = "rejections"
    CIPHERTEXT_SEEN = "ciphertext-seen"
    DIGEST = "digest"
    KNOWLEDGE = "knowledge"
    CLOSED = "closed"
    TOO_MANY = "too-many"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    CERTIFICATE = "certificate"
    CANCELLATION = "cancellation"

    WRONG_REPORTER = "wrong-reporter"
    WRONG_REFERENCE = "wrong-reference"
    MISSING_REFERENCE = "missing-reference"
    SECOND_REFERENCE = "second-reference"
    STALE_REFERENCE = "stale-reference"
    REFERENCE_FROM_THE_FUTURE = "reference-from-the-future"

    INSUFFICIENT_MARGIN = "insufficient-margin"
    BEYOND_MARGIN = "beyond-margin"
    NO_PRICE = "no-price"
    CONTRACT_EXPIRED = "contract-expired"
    TRADING_HALTED = "trading-halted"
    UNKNOWN_RESERVATION = "unknown-reservation"
    DUPLICATE_RESERVATION = "duplicate-reservation"
    NO_BOND = "no-bond"
    RESERVE_OFF_GRID = "reserve-off-grid"
    NOT_IN_LIQUIDATION = "not-in-liquidation"


class AdmissionRefused(BadInput):
    """A submission that takes no part; nothing of it is kept, unless its reason says otherwise."""

    code: ClassVar[RefusalCode]
    prefix = "submission, "


class MalformedSubmission(AdmissionRefused):
    """A field that does not fit its type, bytes that are no ciphertext, or wrong envelopes."""

    code = RefusalCode.MALFORMED


class WrongSignature(AdmissionRefused):
    """The account did not sign this intent for this chain and contract."""

    code = RefusalCode.SIGNATURE


class WrongAuction(AdmissionRefused):
    """An instrument that is not traded here, or another interval."""

    code = RefusalCode.AUCTION


class WrongKeyEpoch(AdmissionRefused):
    """Sealed under keys of another epoch."""

    code = RefusalCode.KEY_EPOCH


class SealedForOtherTerms(AdmissionRefused):
    """Sealed for an auction under other terms than those of the interval."""

    code = RefusalCode.TERMS


class DeadlinePassed(AdmissionRefused):
    """The intent was not to be admitted after its deadline."""

    code = RefusalCode.DEADLINE


class CapRefused(AdmissionRefused):
    """A public cap that is no bucket, or that leaves no room for exact sums."""

    code = RefusalCode.CAP


class AuctionFull(AdmissionRefused):
    """As many intents for the instrument as one auction takes."""

    code = RefusalCode.FULL


class NonceUsed(AdmissionRefused):
    """An intent of the account with this nonce has been admitted before."""

    code = RefusalCode.NONCE


class SecondIntent(AdmissionRefused):
    """The account has an intent for this instrument and interval already."""

    code = RefusalCode.SECOND_INTENT


class SecondIntentOfOwner(AdmissionRefused):
    """Another account of the same owner has an intent for this instrument and interval already."""

    code = RefusalCode.SECOND_INTENT_OF_OWNER


class CapBelowMinimum(AdmissionRefused):
    """A public cap below the least that the terms allow."""

    code = RefusalCode.CAP_MIN


class TooManyRejections(AdmissionRefused):
    """Too many intents of the account have failed the check of shape or cap in this key epoch."""

    code = RefusalCode.REJECTIONS


class CiphertextSeen(AdmissionRefused):
    """A ciphertext that has been admitted before."""

    code = RefusalCode.CIPHERTEXT_SEEN


class WrongCiphertext(AdmissionRefused):
    """A ciphertext other than the one that the intent names."""

    code = RefusalCode.DIGEST


class KnowledgeNotProven(AdmissionRefused):
    """Too few keypers could explain the ciphertext by their share openings."""

    code = RefusalCode.KNOWLEDGE


class AuctionClosed(AdmissionRefused):
    """An intent or a cancellation that came when the interval had closed."""

    code = RefusalCode.CLOSED


class TooManyIntents(AdmissionRefused):
    """As many intents of one account for one instrument and interval as there may be, in turn."""

    code = RefusalCode.TOO_MANY


class IntentCancelled(AdmissionRefused):
    """The account has taken this intent back; a fresh one may take its place."""

    code = RefusalCode.CANCELLED


class IntentUnknown(AdmissionRefused):
    """A cancellation of an intent that is not here."""

    code = RefusalCode.UNKNOWN


class NotCertified(AdmissionRefused):
    """Too few keypers signed. Some may have, so the intent keeps its place until the close."""

    code = RefusalCode.CERTIFICATE


class CancellationUncertain(AdmissionRefused):
    """Too few keypers signed a cancellation; the venue leaves the intent out all the same."""

    code = RefusalCode.CANCELLATION


class MaskUsed(CheckFailed):
    """A mask number that was never issued, or is bound to another opening context."""

    code = "mask-used"

    def __init__(self, number: int, expected: str, got: str) -> None:
        super().__init__(f"mask {number}", expected, got)


class OpeningRefused(CheckFailed):
    """An opening that a keyper does not answer."""

    code = "opening-refused"

    def __init__(self, purpose: str, expected: str, got: str) -> None:
        super().__init__(f"opening {purpose!r}", expected, got)


class InvalidOwners(BadInput):
    """Groups of accounts in which it is not plain who owns what; `subject` is an account."""

    code = "invalid-owners"
    prefix = "owner of "


class WrongTerms(CheckFailed):
    """Terms of an interval that are not those of the keyper that is to serve it."""

    code = "wrong-terms"
    prefix = "terms, "


class ReferenceRefused(BadInput):
    """No auction on this reference price."""

    code: ClassVar[RefusalCode]
    prefix = "reference price, "


class WrongReporter(ReferenceRefused):
    """The reporter did not sign this reference for this chain and contract."""

    code = RefusalCode.WRONG_REPORTER


class WrongReference(ReferenceRefused):
    """A reference of another instrument or interval."""

    code = RefusalCode.WRONG_REFERENCE


class MissingReference(ReferenceRefused):
    """There is no reference where there has to be one."""

    code = RefusalCode.MISSING_REFERENCE


class SecondReference(ReferenceRefused):
    """Other references for an interval than those that were accepted already."""

    code = RefusalCode.SECOND_REFERENCE


class StaleReference(ReferenceRefused):
    """A reference that is older than it may be."""

    code = RefusalCode.STALE_REFERENCE

    def __init__(self, age_ms: int, age_max_ms: int) -> None:
        super().__init__("age", f"at most {age_max_ms} ms", f"{age_ms} ms")
        self.age_ms, self.age_max_ms = age_ms, age_max_ms


class ReferenceFromTheFuture(ReferenceRefused):
    """A reference that was observed later than now, by more than clocks may differ."""

    code = RefusalCode.REFERENCE_FROM_THE_FUTURE

    def __init__(self, ahead_ms: int, ahead_max_ms: int) -> None:
        super().__init__("time", f"at most {ahead_max_ms} ms ahead", f"{ahead_ms} ms ahead")
        self.ahead_ms, self.ahead_max_ms = ahead_ms, ahead_max_ms
