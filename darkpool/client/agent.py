"""The agent of one account: it makes what the account sends in every interval.

A standing order is sealed afresh for each interval; an interval without one gets cover traffic.
What leaves tells neither from the other: both are planned, sealed, kept and sent by the same code,
under the same cap, and have the same length.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from crypto.signing.eip712 import Domain
from darkpool.client.errors import ForeignStore, UnknownIntent
from darkpool.client.opening_file import OpeningFile
from darkpool.client.plan import CoverPolicy, interval_plan, interval_terms
from darkpool.client.sealing import PublicLimits, seal_intent
from darkpool.client.signer import Signer, account_of_signer, signature_of
from darkpool.client.store import AgentStore
from darkpool.protocol.intents import SealedSubmission
from darkpool.protocol.terms import IntervalTerms
from darkpool.units import (
    INSTRUMENT_BYTES,
    InstrumentId,
    Interval,
    account_bytes,
    account_of,
    octets,
    require_kind,
    require_mapping,
)


class Agent:
    """Seals what a store's orders, and cover traffic, send.

    Args:
        store: the account's; orders are placed there, and results applied.
        signer: of the account; nothing of it is stored.
        cover: by instrument that is to have cover traffic.

    Raises:
        WrongType, OutOfBounds: an argument of another kind, or an instrument of another length.
        ForeignStore: the signer is not that of the store's account.
    """

    def __init__(
        self, store: AgentStore, signer: Signer, cover: Mapping[InstrumentId, CoverPolicy]
    ) -> None:
        account = account_of_signer(signer)
        if account != require_kind("store", AgentStore, store).account:
            raise ForeignStore("account of the signer", store.account, account)
        for instrument, policy in require_mapping("cover", cover).items():
            octets("instrument", INSTRUMENT_BYTES, instrument)
            require_kind("cover policy", CoverPolicy, policy)
        self._account = account_bytes(account)
        self._store = store
        self._signer = signer
        self._cover = MappingProxyType(dict(cover))

    def submissions(self, terms: IntervalTerms, deadline_s: int) -> AsyncIterator[SealedSubmission]:
        """What the account sends in an interval; asked again, also after a crash, the same bytes.

        At the first call is decided, and kept, what is sent for every instrument; one is sealed as
        it is asked for. Orders that are placed later take part from the next interval. Instruments
        that the terms do not name are passed over.

        Args:
            terms: of the interval; intervals come in order, each after the result of the one
                before.
            deadline_s: Unix seconds until which the intents may be admitted; of several calls for
                an interval the first counts.

        Raises:
            WrongType, OutOfBounds: no terms, or a deadline that is no time.
            ForeignStore: terms of another chain or contract.
            WrongSignature: the signer's answer is no signature of its address.
            IntervalOver, ResultMissing, TermsChanged: see `AgentStore.begin_interval`.
        """
        store = self._store
        require_kind("terms", IntervalTerms, terms)
        if terms.domain != store.domain:
            raise ForeignStore("chain and contract", _named(store.domain), _named(terms.domain))
        wanted = self._cover.keys() | {placed.order.instrument for placed in store.orders()}
        plan = interval_plan(terms, self._cover, self._account)
        store.begin_interval(
            interval_terms(terms, deadline_s), sorted(wanted & terms.grids.keys()), plan
        )
        return self._sealed(terms)

    async def _sealed(self, terms: IntervalTerms) -> AsyncIterator[SealedSubmission]:
        store = self._store
        deadline_s = store.interval(terms.interval).deadline_s
        for planned in store.intents(terms.interval):
            limits = PublicLimits(deadline_s, planned.cap)
            unsigned = seal_intent(planned.intent, terms, limits)
            submission = unsigned.signed(await signature_of(self._signer, unsigned.digest))
            envelopes = store.keep_sealed(
                planned.intent, submission.sealed.ciphertext_digest, submission.envelopes
            )
            yield replace(submission, envelopes=envelopes)

    def opening(self, instrument: InstrumentId, interval: Interval) -> OpeningFile:
        """What opens the intent of an auction. Whoever reads it learns the order.

        Raises:
            WrongType, OutOfBounds: no instrument, or no number of an interval.
            UnknownIntent: nothing was sealed for it.
        """
        octets("instrument", INSTRUMENT_BYTES, instrument)
        terms = self._store.interval(interval)
        for planned in self._store.intents(interval):
            if planned.intent.instrument == instrument:
                return OpeningFile(planned.intent, self._store.domain, terms.key_epoch, terms.ticks)
        raise UnknownIntent("instrument", "one with an intent", instrument.hex())


def _named(domain: Domain) -> str:
    return f"chain {domain.chain_id}, contract {account_of(domain.verifying_contract)}"
