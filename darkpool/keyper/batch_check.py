"""What a keyper demands of a batch before it signs its root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crypto.errors import CryptoError
from crypto.signing.merkle import merkle_root
from crypto.signing.settling import BatchRoot
from crypto.threshold.attestation import plan_digest
from crypto.threshold.certificate import VenueKeys
from darkpool.keyper.admission_store import IntentKey
from darkpool.keyper.errors import BatchRefused, CancelledIntent, OmittedIntent
from darkpool.protocol.intents import CertifiedIntent
from darkpool.protocol.keyper import BatchProposal, KnownIntents
from darkpool.units import account_of


@dataclass(frozen=True, slots=True)
class CertificateRules:
    """What a certificate of an interval is checked against; see `IntentCertificate.verify`."""

    interval: int
    closes_ms: int
    terms_digest: bytes
    venue: VenueKeys

    def verify(self, intent: CertifiedIntent) -> None:
        """Check the certificate of an intent of this interval.

        The quorum has checked the account's signature.

        Raises:
            BatchRefused: another interval.
            InvalidCertificate, InvalidSignature: not its certificate.
        """
        if intent.sealed.interval != self.interval:
            raise BatchRefused("interval of an intent", self.interval, intent.sealed.interval)
        intent.certificate.verify(intent.sealed, self.closes_ms, self.terms_digest, self.venue)


def check_batch(proposal: BatchProposal, known: KnownIntents, rules: CertificateRules) -> None:
    """Check that a root is of exactly the intents that have to be in it.

    Args:
        known: what the keyper was shown, and which cancellations it signed a receipt of.

    Raises:
        BatchRefused: another root, count, interval, terms or plan of masks; an intent without a
            certificate; two intents of one account for one instrument.
        OmittedIntent, CancelledIntent: see there.
    """
    batch = proposal.batch
    plan = plan_digest([(mask.number, mask.lanes, mask.digest) for mask in proposal.masks])
    if proposal.root.plan != plan:
        raise BatchRefused("plan", plan.hex(), proposal.root.plan.hex())
    contained = _contained(proposal.root, batch.intents, rules)
    taken_back = {IntentKey.cancelled(c.cancellation) for c in known.cancellations}
    for key, intent in contained.items():
        if key in taken_back:
            raise CancelledIntent(key.intent, intent.sealed)
    # an account's own signature excuses its own absence, whenever it comes
    for cancelled in batch.cancellations:
        cancelled.verify(rules.venue.domain)
        taken_back.add(IntentKey.cancelled(cancelled.cancellation))
    for shown in known.intents:
        key = IntentKey.of(shown.sealed, rules.venue.domain)
        if key not in contained and key not in taken_back:
            raise OmittedIntent(key.intent, shown.sealed)


def _contained(
    root: BatchRoot, intents: Sequence[CertifiedIntent], rules: CertificateRules
) -> Mapping[IntentKey, CertifiedIntent]:
    if root.interval != rules.interval:
        raise BatchRefused("interval", rules.interval, root.interval)
    if root.terms != rules.terms_digest:
        raise BatchRefused("terms", rules.terms_digest.hex(), root.terms.hex())
    keys = [IntentKey.of(intent.sealed, rules.venue.domain) for intent in intents]
    derived = merkle_root([key.intent for key in keys])
    if (root.root, root.count) != (derived, len(keys)):
        got = f"{root.root.hex()} of {root.count}"
        raise BatchRefused("root", f"{derived.hex()} of {len(keys)} intents", got)
    places: set[tuple[bytes, bytes]] = set()
    for number, (key, intent) in enumerate(zip(keys, intents, strict=True)):
        place = (key.account, key.instrument)
        if place in places:
            subject = f"intents of account {account_of(key.account)}"
            raise BatchRefused(subject, f"1 for {key.auction}", 2)
        places.add(place)
        try:
            rules.verify(intent)
        except CryptoError as error:
            raise BatchRefused(f"certificate of intent {number}", "valid", error) from error
    return dict(zip(keys, intents, strict=True))
