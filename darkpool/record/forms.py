"""The forms of everything in a record that is not an array or a ciphertext.

Accounts and contracts are 20 raw bytes, hashes 32; sizes are lots, cash and prices are in 10**-6
units. `darkpool.record.reader` reads and writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from crypto.signing.eip712 import Domain
from crypto.signing.messages import Cancellation, ReferencePrice, SealedIntent
from darkpool.canonical_json import Bound
from darkpool.record.due_forms import DueRecord
from darkpool.record.kinds import (
    Address,
    Cash,
    Hash,
    Name,
    Price,
    Pricing,
    Purpose,
    Ring,
    Signature,
    Small,
)

RECORD_VERSION: Final = 4
"""Of the forms and of the circuits: other evaluation order or levels give other ciphertexts, which
an auditor of these would call forged. Records of a released version keep their number."""


@dataclass(frozen=True, slots=True)
class CommitteeRecord:
    """Who opened: `addresses` sign, in keyper order; `quorum` of them decide."""

    size: Small
    epoch: Annotated[int, Bound((1 << 32) - 1)]
    quorum: Small
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class ReferenceRecord:
    """A signed reference price; `price` and `tick_size` in 10**-6 units, `observed_at` in Unix ms.

    It lays down its instrument's price grid: tick k has `price` + (k - `ticks` // 2) `tick_size`.
    The fields but the signature are those of the signed message.
    """

    instrument: Hash
    interval: int
    price: Price
    tick_size: int
    ticks: Small
    observed_at: int
    signature: Signature

    def message(self) -> ReferencePrice:
        """What was signed."""
        return ReferencePrice(
            self.instrument,
            self.interval,
            self.price,
            self.tick_size,
            self.ticks,
            self.observed_at,
        )


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """Of an instrument that crossed; `short_side` is 0 for buyers and 1 for sellers.

    `exhausted` says that minimum-fill orders took the whole surplus of plain orders.
    """

    tick: Small
    volume: int
    short_side: Annotated[int, Bound(1)]
    exhausted: bool


@dataclass(frozen=True, slots=True)
class InstrumentRecord:
    """One instrument's auction.

    Attributes:
        name: of its contract in the specification.
        identifier: 32 bytes that stand for it in signed messages.
        intents: places in the batch of its intents, ascending; may be none.
        outcome: None where nothing crossed.
    """

    name: Name
    identifier: Hash
    intents: tuple[Small, ...]
    outcome: OutcomeRecord | None


@dataclass(frozen=True, slots=True)
class FillRecord:
    """What one intent traded: `intent` counts within its instrument; side 0 buys, 1 sells."""

    instrument: Small
    intent: Small
    account: Address
    side: Annotated[int, Bound(1)]
    size: int
    tick: Small


@dataclass(frozen=True, slots=True)
class StateRecord:
    """An account after a settlement, in cash units: no bond is held and no intent is live then.

    Attributes:
        cash: all of it; gains and losses up to the marks of the settlement are in it.
        debt: what it was covered for and has not paid back.
        granted: all that it was ever granted for withdrawal.
        is_pruned: whether its grants are in the retired leaf.
        free: what it did not need; 0 without positions.
        positions: as they are encoded for the state root.
    """

    account: Address
    cash: Cash
    debt: Cash
    granted: Cash
    is_pruned: bool
    free: Cash
    positions: bytes


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """A flow as the event of its contract tells it; `amount` in token units.

    `kind` is 1 for a deposit, 2 for a request, 3 for a notice, 4 for a return; `number` is of the
    last two the index of their deposit, else 0.
    """

    index: int
    kind: Annotated[int, Bound(4, 1)]
    vault: Address
    account: Address
    amount: Cash
    number: int


@dataclass(frozen=True, slots=True)
class PaidRecord:
    """What the vault had paid an account by the block of the commitment, in token units."""

    account: Address
    amount: Cash


@dataclass(frozen=True, slots=True)
class VenueRecord:
    """Where signatures count: chain, settlement contract; and the vault that pays.

    `deposit_min` is the least deposit that the vault takes, in token units.
    """

    chain_id: int
    settlement: Address
    vault: Address
    deposit_min: Cash

    def domain(self) -> Domain:
        """EIP-712 domain of everything that is signed."""
        return Domain(self.chain_id, self.settlement)


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """A transaction on the venue's chain."""

    hash: Hash
    block: int


@dataclass(frozen=True, slots=True)
class PlannedMask:
    """A mask that was set aside for the interval before its batch was fixed."""

    number: Small
    lanes: Small
    digest: Hash


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """The batch that was closed.

    Attributes:
        previous_settlement: hash of the settlement before it, zero before the first.
        masks: those that were set aside, in order; `BatchRoot.plan` is the digest of them.
        commit_by: the last second for the commitment, Unix time.
        flows: index of the last flow at the commitment; `flows_head` is the hash of all of them.
        block: of the commitment; openings are bound to it.
    """

    root: Hash
    count: Small
    previous_settlement: Hash
    masks: tuple[PlannedMask, ...]
    commit_by: int
    flows: int
    flows_head: Hash
    block: int


@dataclass(frozen=True, slots=True)
class TreeRecord:
    """The balances of a vault as they were settled: root and sums of its tree, in token units."""

    vault: Address
    root: Hash
    exit_total: Cash
    claim_total: Cash


@dataclass(frozen=True, slots=True)
class SettlementRecord:
    """What was settled, besides batch, flows and terms; see `crypto.signing.settling.Settlement`.

    Attributes:
        signatures: by keyper number, counted from 0.
        transaction: None where the settlement was not on the chain when the record was written.
    """

    results: Hash
    prices: Hash
    fills_root: Hash
    state_root: Hash
    trees: tuple[TreeRecord, ...]
    leaf_hash: Hash
    leaf_blobs: tuple[Hash, ...]
    record_digest: Hash
    signatures: Mapping[int, Signature]
    transaction: TransactionRecord | None


@dataclass(frozen=True, slots=True)
class CommitmentRecord:
    """How the batch came to the chain; signatures by keyper number, counted from 0."""

    signatures: Mapping[int, Signature]
    transaction: Hash


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """Who signed, and where the chain has it: the part of a record that a restart may change.

    `transcripts` are signatures on all openings, by keyper number, counted from 0.
    """

    commitment: CommitmentRecord
    transcripts: Mapping[int, Signature]
    settlement: SettlementRecord


@dataclass(frozen=True, slots=True)
class OwnerRecord:
    """An account that is not its own owner, or that others have as theirs."""

    account: Address
    owner: Address


@dataclass(frozen=True, slots=True)
class ParticipationRecord:
    """Who may take part: accounts that are not named own themselves; `cap_min` in lots."""

    owners: tuple[OwnerRecord, ...]
    owners_min: Small
    cap_min: int


@dataclass(frozen=True, slots=True)
class BondRecord:
    """What accounts hold while they have intents, and the part that a bad one costs."""

    amount: Cash
    charge_ppm: Small
    treasury: Address


@dataclass(frozen=True, slots=True)
class RejectionRecord:
    """An intent that failed a check after close, by its place in the batch."""

    intent: Small
    reason: Literal["shape", "cap"]


@dataclass(frozen=True, slots=True)
class AuctionSummary:
    """All of an interval's auctions that is not a ciphertext, a key, an opening or evidence.

    Attributes:
        reporter: address that signs reference prices.
        references: of every instrument, in their order; the grids are what they say.
        closes_ms: Unix milliseconds from which on nothing was certified or cancelled.
        ticks: prices on the grid of each instrument.
        context: 32 bytes that openings are bound to.
        beacon_shares: 32 bytes of each virtual party, in share order.
        instruments: all that the terms name, those without intents last.
        rejections: ascending by intent.
        before: the states that the settlement before it bound.
        due: what void intervals since then left to be booked.
        flows: what clients did at the vaults between the two commitments.
        paid: what the vault had paid at this one.
        after: the states that this settlement binds.
    """

    interval: int
    closes_ms: int
    pricing: Pricing
    ticks: Small
    reporter: Address
    references: tuple[ReferenceRecord, ...]
    committee: CommitteeRecord
    venue: VenueRecord
    context: Hash
    beacon_shares: tuple[Hash, ...]
    beacon: Hash
    instruments: tuple[InstrumentRecord, ...]
    rejections: tuple[RejectionRecord, ...]
    fills: tuple[FillRecord, ...]
    before: tuple[StateRecord, ...]
    due: DueRecord
    flows: tuple[FlowRecord, ...]
    paid: tuple[PaidRecord, ...]
    after: tuple[StateRecord, ...]
    batch: BatchRecord
    participation: ParticipationRecord
    bond: BondRecord


@dataclass(frozen=True, slots=True)
class IntentRecord:
    """A sealed intent, its account's signature, and its certificate: signatures by keyper."""

    sealed: SealedIntent
    signature: Signature
    certificate: Mapping[int, Signature]


@dataclass(frozen=True, slots=True)
class CancellationRecord:
    """An intent that was taken back, with its account's signature."""

    cancellation: Cancellation
    signature: Signature


@dataclass(frozen=True, slots=True)
class MaskRecord:
    """A mask that was used; `attestations` by keyper number."""

    number: Small
    lanes: Small
    attestations: Mapping[int, Signature]


@dataclass(frozen=True, slots=True)
class OpeningRecord:
    """An opening, without its arrays; `support` is where it may be other than zero."""

    context: Hash
    epoch: int
    sequence: Small
    purpose: Purpose
    ring: Ring
    level: Small
    mask_number: Small | None
    mask_part: Small | None
    budget_before_bits: Small
    budget_after_bits: Small
    liars: tuple[Small, ...]


@dataclass(frozen=True, slots=True)
class RecordFile:
    """`record.json`. `envelope_keys` are the keypers' X25519 public keys."""

    version: int
    parameters: Name
    envelope_keys: tuple[Hash, ...]
    summary: AuctionSummary
    evidence: EvidenceRecord


@dataclass(frozen=True, slots=True)
class IntentsFile:
    """`intents.json`: the batch in its order, and what came in and was taken back."""

    version: int
    intents: tuple[IntentRecord, ...]
    cancellations: tuple[CancellationRecord, ...]


@dataclass(frozen=True, slots=True)
class MasksFile:
    """`masks.json`."""

    version: int
    masks: tuple[MaskRecord, ...]


@dataclass(frozen=True, slots=True)
class OpeningsFile:
    """`openings.json`."""

    version: int
    openings: tuple[OpeningRecord, ...]
