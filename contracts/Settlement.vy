# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
# SPDX-License-Identifier: Apache-2.0
"""
@title Settlement
@license Apache-2.0
@notice The public order of events of a venue: which batch was closed before anything in it was
        opened, and what came of it.
@dev For each interval the operator commits one batch root, and then anybody settles exactly that
     batch, both with the signatures of a quorum of keypers. While a batch is open the vault pays
     nothing, so that no collateral leaves under a batch that counts on it. A batch that is not
     settled in time is void, and the last settled balances stand.
     Two batch roots of one keyper for one interval halt settlement for ever; so does a venue that
     settles nothing for a long time. Then the vault pays everything out.
     Revert reasons are short strings; each function names its own.
"""

import eip712


struct Batch:
    root: bytes32
    count: uint32
    committed_at: uint256


struct Roots:
    results: bytes32
    fills: bytes32
    balances: bytes32


struct Result:
    instrument: bytes32
    crossed: bool
    price_tick: uint32
    volume: uint64


struct SignedRoot:
    root: bytes32
    count: uint32
    signature: Bytes[65]


struct VaultTerms:
    paying: bool
    halted: bool
    committed: uint64
    settled: uint64
    balances_root: bytes32


event BatchCommitted:
    interval: indexed(uint64)
    root: bytes32
    count: uint32
    signers: uint256


event InstrumentSettled:
    interval: indexed(uint64)
    instrument: indexed(bytes32)
    crossed: bool
    price_tick: uint32
    volume: uint64


event BatchSettled:
    interval: indexed(uint64)
    results_root: bytes32
    fills_root: bytes32
    balances_root: bytes32
    signers: uint256


event BatchVoided:
    interval: indexed(uint64)


event Equivocation:
    interval: indexed(uint64)
    keyper: indexed(address)
    first_root: bytes32
    first_count: uint32
    second_root: bytes32
    second_count: uint32


event Halted:
    reporter: indexed(address)


KEYPERS_MIN: constant(uint256) = 3
KEYPERS_MAX: constant(uint256) = 16
INSTRUMENTS_MAX: constant(uint256) = 128

# seconds from the commitment of a batch in which it can be settled
SETTLEMENT_TIMEOUT: public(constant(uint256)) = 86_400

# seconds without a settlement after which anybody may declare the venue abandoned
ABANDONMENT_TIMEOUT: public(constant(uint256)) = 30 * 86_400

BATCH_ROOT_TYPE_HASH: constant(bytes32) = keccak256(
    "BatchRoot(uint64 interval,bytes32 root,uint32 count)"
)
SETTLEMENT_ROOT_TYPE_HASH: constant(bytes32) = keccak256(
    "SettlementRoot(uint64 interval,bytes32 resultsRoot,bytes32 fillsRoot,bytes32 balancesRoot)"
)

# the only address that may open a batch; it can do nothing else
operator: public(immutable(address))

# how many keypers have to sign: the least number above (n + 1) / 2
quorum: public(immutable(uint256))

# the committee, fixed at deployment
keypers: public(DynArray[address, KEYPERS_MAX])

# place of an address in the committee, counted from 1; 0 for everybody else
keyper_number: public(HashMap[address, uint256])

# every batch that was ever committed, by interval
batches: public(HashMap[uint64, Batch])

# what was settled, by interval; all zero where nothing was
settlements: public(HashMap[uint64, Roots])

# the interval of the last committed batch, of the open one, of the last settled one; 0 for none
last_committed: public(uint64)
open_batch: public(uint64)
last_settled: public(uint64)

# time of the last settlement, or of deployment
last_settled_at: public(uint256)

# whether settlement has ended for ever
halted: public(bool)


@deploy
def __init__(committee: DynArray[address, KEYPERS_MAX], operator_: address):
    """
    @notice Fix the committee and the operator.
    @dev Reverts with "committee size" below three keypers, and with "zero address" or
         "keyper twice" for an unusable member.
    @param committee Addresses of the keypers' signing keys.
    @param operator_ The address that may commit batches.
    """
    assert len(committee) >= KEYPERS_MIN, "committee size"
    assert operator_ != empty(address), "zero address"
    for keyper: address in committee:
        assert keyper != empty(address), "zero address"
        assert self.keyper_number[keyper] == 0, "keyper twice"
        self.keypers.append(keyper)
        self.keyper_number[keyper] = len(self.keypers)
    operator = operator_
    quorum = (len(committee) + 1) // 2 + 1
    self.last_settled_at = block.timestamp


@external
def commit_batch(
    interval: uint64,
    root: bytes32,
    count: uint32,
    signatures: DynArray[Bytes[65], KEYPERS_MAX],
):
    """
    @notice Fix the batch of an interval, before anything in it is opened; the vault stops paying.
    @dev Reverts with "not operator", "halted", "batch open", "interval" unless it is above every
         interval before, "root missing", or a reason of the signature check.
    @param interval Number of the auction in its series.
    @param root Merkle root of the admitted intents.
    @param count Number of admitted intents.
    @param signatures BatchRoot signatures of a quorum of keypers, in any order.
    """
    assert msg.sender == operator, "not operator"
    assert not self.halted, "halted"
    assert self.open_batch == 0, "batch open"
    assert interval > self.last_committed, "interval"
    assert root != empty(bytes32), "root missing"
    signers: uint256 = self._check_quorum(self._batch_digest(interval, root, count), signatures)
    self.batches[interval] = Batch(root=root, count=count, committed_at=block.timestamp)
    self.last_committed = interval
    self.open_batch = interval
    log BatchCommitted(interval=interval, root=root, count=count, signers=signers)


@external
def settle(
    interval: uint64,
    results: DynArray[Result, INSTRUMENTS_MAX],
    fills_root: bytes32,
    balances_root: bytes32,
    signatures: DynArray[Bytes[65], KEYPERS_MAX],
):
    """
    @notice Record what came of the open batch, and let the vault pay by the new balances.
    @dev Anybody may send it, so a signed outcome cannot be held back. The results root that the
         keypers sign is keccak256 of the ABI encoding of `results`.
         Reverts with "halted", "not the open batch", "too late", "root missing", or a reason of the
         signature check.
    @param interval The interval of the open batch.
    @param results Outcome for each instrument; tick and volume are zero where nothing crossed.
    @param fills_root Merkle root of the fills.
    @param balances_root Merkle root of all balances after this interval; it counts the deposits and
           withdrawals made before the batch was committed, and none after.
    @param signatures SettlementRoot signatures of a quorum of keypers, in any order.
    """
    assert not self.halted, "halted"
    assert interval != 0 and interval == self.open_batch, "not the open batch"
    assert not self._expired(interval), "too late"
    assert fills_root != empty(bytes32) and balances_root != empty(bytes32), "root missing"
    results_root: bytes32 = keccak256(abi_encode(results))
    struct_hash: bytes32 = keccak256(
        abi_encode(SETTLEMENT_ROOT_TYPE_HASH, interval, results_root, fills_root, balances_root)
    )
    signers: uint256 = self._check_quorum(eip712._digest(struct_hash), signatures)
    self.settlements[interval] = Roots(
        results=results_root, fills=fills_root, balances=balances_root
    )
    self.open_batch = 0
    self.last_settled = interval
    self.last_settled_at = block.timestamp
    for result: Result in results:
        log InstrumentSettled(
            interval=interval,
            instrument=result.instrument,
            crossed=result.crossed,
            price_tick=result.price_tick,
            volume=result.volume,
        )
    log BatchSettled(
        interval=interval,
        results_root=results_root,
        fills_root=fills_root,
        balances_root=balances_root,
        signers=signers,
    )


@external
def void(interval: uint64):
    """
    @notice Close a batch that was not settled in time; the last settled balances stand.
    @dev Anybody may call it. The interval can never be committed again.
         Reverts with "not the open batch" or "too early".
    @param interval The interval of the open batch.
    """
    assert interval != 0 and interval == self.open_batch, "not the open batch"
    assert self._expired(interval), "too early"
    self.open_batch = 0
    log BatchVoided(interval=interval)


@external
def report_equivocation(interval: uint64, first: SignedRoot, second: SignedRoot):
    """
    @notice Show that one keyper signed two different batches for one interval; settlement halts.
    @dev Anybody may call it, at any time, for any interval, whether committed or not.
         Reverts with "halted", "same batch", "two signers", "not a keyper", or a reason of the
         signature check.
    @param interval The interval that both signatures are for.
    @param first One root with its count and signature.
    @param second Another.
    """
    assert not self.halted, "halted"
    assert first.root != second.root or first.count != second.count, "same batch"
    keyper: address = eip712._signer(
        self._batch_digest(interval, first.root, first.count), first.signature
    )
    other: address = eip712._signer(
        self._batch_digest(interval, second.root, second.count), second.signature
    )
    assert keyper == other, "two signers"
    assert self.keyper_number[keyper] != 0, "not a keyper"
    log Equivocation(
        interval=interval,
        keyper=keyper,
        first_root=first.root,
        first_count=first.count,
        second_root=second.root,
        second_count=second.count,
    )
    self._halt()


@external
def declare_abandoned():
    """
    @notice Halt a venue that has settled nothing for the abandonment timeout.
    @dev Anybody may call it; nobody's key is needed. Reverts with "halted" or "too early".
    """
    assert not self.halted, "halted"
    assert block.timestamp >= self.last_settled_at + ABANDONMENT_TIMEOUT, "too early"
    self._halt()


@external
@view
def committee() -> DynArray[address, KEYPERS_MAX]:
    """
    @notice All keypers.
    @return Their addresses, in the order of their numbers.
    """
    return self.keypers


@external
@view
def vault_terms() -> VaultTerms:
    """
    @notice All that the vault has to know before it takes or pays.
    @return Whether it may pay now, whether settlement has ended, the intervals of the last
            committed and the last settled batch, and the last settled balances root.
    """
    interval: uint64 = self.open_batch
    return VaultTerms(
        paying=self.halted or interval == 0 or self._expired(interval),
        halted=self.halted,
        committed=self.last_committed,
        settled=self.last_settled,
        balances_root=self.settlements[self.last_settled].balances,
    )


@internal
def _halt():
    """
    @notice End settlement for ever.
    """
    self.halted = True
    log Halted(reporter=msg.sender)


@internal
@view
def _expired(interval: uint64) -> bool:
    """
    @notice Whether the time to settle a batch is over.
    @param interval The interval of a committed batch.
    @return True from the first second in which it can be voided and no longer settled.
    """
    return block.timestamp >= self.batches[interval].committed_at + SETTLEMENT_TIMEOUT


@internal
@view
def _batch_digest(interval: uint64, root: bytes32, count: uint32) -> bytes32:
    """
    @notice EIP-712 digest of a BatchRoot.
    @param interval The interval.
    @param root Merkle root of the batch.
    @param count Number of intents.
    @return The 32 bytes that a keyper signs.
    """
    return eip712._digest(keccak256(abi_encode(BATCH_ROOT_TYPE_HASH, interval, root, count)))


@internal
@view
def _check_quorum(
    digest: bytes32, signatures: DynArray[Bytes[65], KEYPERS_MAX]
) -> uint256:
    """
    @notice Check that a quorum of different keypers signed.
    @dev Reverts with "not a keyper", "keyper twice", "quorum", or a reason of the signature check;
         one bad signature spoils the list.
    @param digest The 32 bytes that were signed.
    @param signatures Signatures in any order.
    @return The signers as a bit set: bit i - 1 for keyper number i.
    """
    signers: uint256 = 0
    for signature: Bytes[65] in signatures:
        number: uint256 = self.keyper_number[eip712._signer(digest, signature)]
        assert number != 0, "not a keyper"
        member: uint256 = 1 << (number - 1)
        assert signers & member == 0, "keyper twice"
        signers |= member
    assert len(signatures) >= quorum, "quorum"
    return signers
