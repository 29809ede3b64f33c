"""The forms of an order on its way into an auction, and the terms that it is sealed under.

A client wants a `LimitOrder`; `crypto.commitment.Intent` is its committed form, which only the
client holds; a `SealedSubmission` is what leaves the client; an `AdmittedIntent` takes part.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from crypto.ciphertext import Ciphertext
from crypto.commitment import Domain, SealedIntent
from crypto.keys import PublicMaterial
from darkpool.admission.reference import SignedReference
from darkpool.clock import Clock
from darkpool.errors import InvalidGrid
from darkpool.limits import REFERENCE_AGE_MAX_MS
from darkpool.units import AccountId, InstrumentId, Interval, Lots, PriceGrid, Side, Tick


@dataclass(frozen=True, slots=True)
class AuctionTerms:
    """What client, operator and keypers agree on before an interval's auctions open.

    Attributes:
        domain: chain and contract of the settlement.
        material: public keys of the committee's epoch.
        interval: number of the auctions in their series.
        reporter: address that reference prices are signed with.
        references: a reference price of every instrument that is traded.
        grids: what the references say, and nobody else; all have the same ticks.

    Raises:
        WrongReference, WrongReporter: see `SignedReference.verify`.
        InvalidGrid: a reference that gives no grid, or grids of different lengths, which could not
            share a comparison.
    """

    domain: Domain
    material: PublicMaterial
    interval: Interval
    reporter: AccountId
    references: Mapping[InstrumentId, SignedReference]
    grids: Mapping[InstrumentId, PriceGrid] = field(init=False)

    def __post_init__(self) -> None:
        for instrument, reference in self.references.items():
            reference.verify(self.domain, self.reporter, instrument, self.interval)
        grids = {instrument: signed.grid() for instrument, signed in self.references.items()}
        object.__setattr__(self, "grids", grids)
        lengths = sorted({grid.ticks for grid in grids.values()})
        if len(lengths) > 1:
            raise InvalidGrid(
                "ticks", "the same for every instrument", ", ".join(map(str, lengths))
            )

    @classmethod
    def open(
        cls,
        domain: Domain,
        material: PublicMaterial,
        interval: Interval,
        reporter: AccountId,
        references: Mapping[InstrumentId, SignedReference],
        clock: Clock,
    ) -> Self:
        """The terms of an interval that opens now: made on fresh references, or not at all.

        Raises:
            StaleReference, ReferenceFromTheFuture: a reference that is not fresh.
            WrongReference, WrongReporter, InvalidGrid: as the terms themselves.
        """
        terms = cls(domain, material, interval, reporter, references)
        for reference in references.values():
            reference.require_fresh(clock.unix_ms(), REFERENCE_AGE_MAX_MS)
        return terms


@dataclass(frozen=True, slots=True)
class LimitOrder:
    """What a client wants: up to `size` at `limit` or better. Size 0 is cover traffic."""

    side: Side
    size: Lots
    limit: Tick


@dataclass(frozen=True, slots=True)
class SealedSubmission:
    """What a client sends: nothing in it tells side, size or limit.

    Attributes:
        sealed: the public part, which the account signs.
        signature: 65 bytes over its EIP-712 digest.
        ciphertext: wire form.
        envelopes: share openings for each keyper, in keyper order.
    """

    sealed: SealedIntent
    signature: bytes
    ciphertext: bytes
    envelopes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AdmittedIntent:
    """A sealed intent whose sender has been shown to know what is in it.

    Attributes:
        sealed: the public part.
        signature: the account's, 65 bytes.
        digest: EIP-712 digest of the public part.
        ciphertext: parsed and checked.
        accepted_by: keypers that accepted the proof of knowledge, ascending.
    """

    sealed: SealedIntent
    signature: bytes
    digest: bytes
    ciphertext: Ciphertext
    accepted_by: tuple[int, ...]
