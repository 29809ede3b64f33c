"""A closed batch, sorted by instrument, added up and packed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from crypto.aggregation import AggregateSum
from crypto.ciphertext import Ciphertext
from crypto.commitment import SealedIntent
from crypto.packing import Packer
from crypto.seal import Evaluator
from darkpool.admission.intent import AdmittedIntent, AuctionTerms, CertifiedIntent
from darkpool.record_schema import IntentRecord
from darkpool.units import AccountId, AuctionId, InstrumentId, Interval, Lots, account_id


@dataclass(slots=True)
class Book:
    """An instrument's admitted intents, aggregated and packed when the interval has closed."""

    instrument: InstrumentId
    packer: Packer
    aggregate: AggregateSum
    intents: list[int] = field(default_factory=list)
    accounts: list[AccountId] = field(default_factory=list)
    caps: list[Lots] = field(default_factory=list)


def place_of(sealed: SealedIntent) -> tuple[AccountId, AuctionId]:
    """Whose intent it is, and for which auction."""
    auction = AuctionId(InstrumentId(sealed.instrument), Interval(sealed.interval))
    return account_id(f"0x{sealed.account.hex()}"), auction


def fill_books(
    evaluator: Evaluator,
    terms: AuctionTerms,
    intents: dict[bytes, AdmittedIntent],
    publish: Callable[[IntentRecord, Ciphertext], None],
) -> tuple[tuple[CertifiedIntent, ...], list[Book]]:
    """Make the book of every instrument that has intents, and let go of each intent on the way.

    Args:
        evaluator: of the order ring.
        intents: in batch order; empty afterwards, so that no ciphertext is held twice.
        publish: takes each intent, in batch order.
    """
    ring = terms.material.parameters.order
    books = {
        instrument: Book(instrument, Packer(evaluator), AggregateSum(ring))
        for instrument in terms.grids
    }
    certified: list[CertifiedIntent] = []
    for digest in tuple(intents):
        intent = intents.pop(digest)
        sealed = intent.sealed
        account, auction = place_of(sealed)
        book = books[auction.instrument]
        book.aggregate.add(intent.ciphertext)
        book.packer.add(intent.ciphertext)
        book.intents.append(len(certified))
        book.accounts.append(account)
        book.caps.append(Lots(sealed.cap))
        signatures = dict(sorted(intent.certificate.signatures.items()))
        publish(IntentRecord(sealed, intent.signature, signatures), intent.ciphertext)
        certified.append(intent.certified())
    return tuple(certified), [book for book in books.values() if book.intents]
