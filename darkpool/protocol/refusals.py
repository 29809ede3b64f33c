"""Why a submission takes no part: one class a reason, each with a stable code for programs."""

from __future__ import annotations

from typing import ClassVar

from darkpool.errors import BadInput, CheckFailed


class AdmissionRefused(BadInput):
    """A submission that takes no part; nothing of it is kept, unless its reason says otherwise.

    `code` is the stable name of the reason, for programs.
    """

    code: ClassVar[str]

    def __init__(self, what: str, expected: str, got: str) -> None:
        super().__init__(f"submission, {what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


class MalformedSubmission(AdmissionRefused):
    """A field that does not fit its type, bytes that are no ciphertext, or wrong envelopes."""

    code = "malformed"


class WrongSignature(AdmissionRefused):
    """The account did not sign this intent for this chain and contract."""

    code = "signature"


class WrongAuction(AdmissionRefused):
    """An instrument that is not traded here, or another interval."""

    code = "auction"


class WrongKeyEpoch(AdmissionRefused):
    """Sealed under keys of another epoch."""

    code = "key-epoch"


class DeadlinePassed(AdmissionRefused):
    """The intent was not to be admitted after its deadline."""

    code = "deadline"


class CapRefused(AdmissionRefused):
    """A public cap that is no bucket, or that leaves no room for exact sums."""

    code = "cap"


class AuctionFull(AdmissionRefused):
    """As many intents for the instrument as one auction takes."""

    code = "full"


class NonceUsed(AdmissionRefused):
    """An intent of the account with this nonce has been admitted before."""

    code = "nonce"


class SecondIntent(AdmissionRefused):
    """The account has an intent for this instrument and interval already."""

    code = "second-intent"


class SecondIntentOfOwner(AdmissionRefused):
    """Another account of the same owner has an intent for this instrument and interval already."""

    code = "second-intent-of-owner"


class CapBelowMinimum(AdmissionRefused):
    """A public cap below the least that the terms allow."""

    code = "cap-min"


class TooManyRejections(AdmissionRefused):
    """Too many intents of the account have failed the check of shape or cap in this key epoch."""

    code = "rejections"


class CiphertextSeen(AdmissionRefused):
    """A ciphertext that has been admitted before."""

    code = "ciphertext-seen"


class WrongCiphertext(AdmissionRefused):
    """A ciphertext other than the one that the intent names."""

    code = "digest"


class KnowledgeNotProven(AdmissionRefused):
    """Too few keypers could explain the ciphertext by their share openings."""

    code = "knowledge"


class AuctionClosed(AdmissionRefused):
    """An intent or a cancellation that came when the interval had closed."""

    code = "closed"


class TooManyIntents(AdmissionRefused):
    """As many intents of one account for one instrument and interval as there may be, in turn."""

    code = "too-many"


class IntentCancelled(AdmissionRefused):
    """The account has taken this intent back; a fresh one may take its place."""

    code = "cancelled"


class IntentUnknown(AdmissionRefused):
    """A cancellation of an intent that is not here."""

    code = "unknown"


class NotCertified(AdmissionRefused):
    """Too few keypers signed. Some may have, so the intent keeps its place until the close."""

    code = "certificate"


class CancellationUncertain(AdmissionRefused):
    """Too few keypers signed a cancellation; the venue leaves the intent out all the same."""

    code = "cancellation"


class MaskUsed(CheckFailed):
    """A mask number that was never issued, or is bound to another opening context."""

    def __init__(self, number: int, expected: str, got: str) -> None:
        super().__init__(f"mask {number}: expected {expected}, got {got}")
        self.number, self.expected, self.got = number, expected, got


class OpeningRefused(CheckFailed):
    """An opening that a keyper does not answer."""

    def __init__(self, purpose: str, expected: str, got: str) -> None:
        super().__init__(f"opening {purpose!r}: expected {expected}, got {got}")
        self.purpose, self.expected, self.got = purpose, expected, got


class InvalidOwners(BadInput):
    """Groups of accounts in which it is not plain who owns what."""

    def __init__(self, account: str, expected: str, got: str) -> None:
        super().__init__(f"owner of {account}: expected {expected}, got {got}")
        self.account = account
        self.expected = expected
        self.got = got


class WrongTerms(CheckFailed):
    """Terms of an interval that are not those of the keyper that is to serve it."""

    def __init__(self, what: str, expected: object, got: object) -> None:
        super().__init__(f"terms, {what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


class ReferenceRefused(BadInput):
    """No auction on this reference price."""

    def __init__(self, what: str, expected: str, got: str) -> None:
        super().__init__(f"reference price, {what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


class WrongReporter(ReferenceRefused):
    """The reporter did not sign this reference for this chain and contract."""


class WrongReference(ReferenceRefused):
    """A reference of another instrument or interval."""


class MissingReference(ReferenceRefused):
    """There is no reference where there has to be one."""


class SecondReference(ReferenceRefused):
    """Other references for an interval than those that were accepted already."""


class StaleReference(ReferenceRefused):
    """A reference that is older than it may be."""

    def __init__(self, age_ms: int, age_max_ms: int) -> None:
        super().__init__("age", f"at most {age_max_ms} ms", f"{age_ms} ms")
        self.age_ms = age_ms
        self.age_max_ms = age_max_ms


class ReferenceFromTheFuture(ReferenceRefused):
    """A reference that was observed later than now, by more than clocks may differ."""

    def __init__(self, ahead_ms: int, ahead_max_ms: int) -> None:
        super().__init__("time", f"at most {ahead_max_ms} ms ahead", f"{ahead_ms} ms ahead")
        self.ahead_ms = ahead_ms
        self.ahead_max_ms = ahead_max_ms
