# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
# SPDX-License-Identifier: Apache-2.0
"""
@title Settlement
@license Apache-2.0
@notice The public order of events of a venue: which batch was closed before anything in it was
        opened, what came of it, and what clients paid in or asked for in between.
@dev Nobody has a role here: a quorum of keypers' signatures is the permission, and any sender may
     carry them. For each interval one batch root is committed, then exactly that batch is settled.
     Deposits, requests, notices and returns ("flows") of all vaults form one hash chain. A
     commitment takes its head, a settlement names it, so signatures made on one side of a fork do
     not hold beside other flows. A batch that is not settled in an hour is void; the next one must
     be empty, so what clients ask for is settled without any opening in between.
     A venue that does not settle, or does not answer a request for a week, ends by the clock: then
     `declare` lets everybody leave with everything, and nobody's key is needed for it.
     Revert reasons are short strings; each function names its own.
"""

import committee
import eip712

initializes: committee
exports: (committee.number_of, committee.epoch, committee.key_id, committee.circuits)


interface IVault:
    def settle(
        interval: uint64, root: bytes32, exit_total: uint128, claim_total: uint128, flows: uint64
    ): nonpayable


struct VaultTerms:
    token: address
    deposit_min: uint256
    accounts_max: uint256


struct Parties:
    fund: address
    treasury: address
    rescuer: address
    permit2: address


struct Batch:
    interval: uint64
    root: bytes32
    count: uint32
    terms: bytes32
    plan: bytes32
    commit_by: uint64


struct Tree:
    vault: address
    root: bytes32
    exit_total: uint128
    claim_total: uint128


struct Outcome:
    prices: bytes32
    fills_root: bytes32
    state_root: bytes32
    leaf_hash: bytes32
    leaf_blobs: DynArray[bytes32, BLOBS_MAX]
    record_digest: bytes32


struct Standing:
    committed: uint64
    settled: uint64
    committed_at: uint256
    is_open: bool
    must_be_empty: bool
    flows: uint64
    flows_committed: uint64
    settled_at: uint256
    waiting_since: uint256
    declared_at: uint256
    is_closed: bool


event Flow:
    index: indexed(uint64)
    vault: indexed(address)
    account: indexed(address)
    kind: uint8
    amount: uint128
    number: uint64
    head: bytes32


event BatchCommitted:
    interval: indexed(uint64)
    batch: Batch
    previous_settlement: bytes32
    flows: uint64
    flows_head: bytes32
    signers: uint256


event BatchSettled:
    interval: indexed(uint64)
    settlement: indexed(bytes32)
    outcome: Outcome
    trees: DynArray[Tree, VAULTS_MAX]
    results: Bytes[RESULTS_BYTES_MAX]
    signers: uint256


event BatchVoided:
    interval: indexed(uint64)


event LeavesPublished:
    leaf_hash: indexed(bytes32)
    leaves: Bytes[LEAVES_BYTES_MAX]


event WindDownDeclared:
    at: uint256


event Closed:
    settlement: indexed(bytes32)
    outcome: Outcome
    trees: DynArray[Tree, VAULTS_MAX]
    signers: uint256


VAULTS_MAX: constant(uint256) = 8
BLOBS_MAX: constant(uint256) = 6
INSTRUMENTS_MAX: constant(uint256) = 128

# an instrument's name and its outcome, one word each
RESULT_BYTES: constant(uint256) = 64
RESULTS_BYTES_MAX: constant(uint256) = RESULT_BYTES * INSTRUMENTS_MAX

# leaves of 52 bytes, as many as one transaction of 128 KiB carries
LEAVES_BYTES_MAX: constant(uint256) = 52 * 2_400

# an interval is at most so far beyond the last one: no number can be the last one for ever
INTERVAL_JUMP_MAX: constant(uint64) = 1_000_000

# seconds from the commitment of a batch in which it can be settled
SETTLEMENT_TIMEOUT: public(constant(uint256)) = 3_600

# seconds that a request waits for a settlement before the venue has to end
REQUEST_TIMEOUT: public(constant(uint256)) = 7 * 86_400

# seconds without a settlement after which the venue has to end
SILENCE_TIMEOUT: public(constant(uint256)) = 14 * 86_400

# seconds from the declaration in which one closing settlement can come; then exits open without it
CLOSING_TIMEOUT: public(constant(uint256)) = 86_400

# the interval that stands for the closing settlement in the vaults
CLOSING_INTERVAL: constant(uint64) = max_value(uint64)

BATCH_TYPE_HASH: constant(bytes32) = keccak256(
    "BatchRoot(uint64 interval,bytes32 root,uint32 count,bytes32 previousSettlement,bytes32 terms,bytes32 plan,uint64 commitBy)"
)
SETTLEMENT_TYPE_HASH: constant(bytes32) = keccak256(
    "Settlement(uint64 interval,bytes32 batchRoot,bytes32 previousSettlement,bytes32 flows,bytes32 results,bytes32 prices,bytes32 fillsRoot,bytes32 stateRoot,Tree[] trees,bytes32 leafHash,bytes32[] leafBlobs,bytes32 recordDigest,bytes32 terms)Tree(address vault,bytes32 root,uint128 exitTotal,uint128 claimTotal)"
)
CLOSING_TYPE_HASH: constant(bytes32) = keccak256(
    "Closing(uint64 declaredAt,bytes32 previousSettlement,bytes32 prices,bytes32 stateRoot,Tree[] trees,bytes32 leafHash,bytes32[] leafBlobs,bytes32 recordDigest,bytes32 terms)Tree(address vault,bytes32 root,uint128 exitTotal,uint128 claimTotal)"
)
TREE_TYPE_HASH: constant(bytes32) = keccak256(
    "Tree(address vault,bytes32 root,uint128 exitTotal,uint128 claimTotal)"
)
EMPTY_HASH: constant(bytes32) = keccak256(b"")

# words of each statement of which a keyper may sign one only
BATCH_WORDS: constant(uint256) = 7
SETTLEMENT_WORDS: constant(uint256) = 13
ROTATION_WORDS: constant(uint256) = 5

KIND_DEPOSIT: constant(uint256) = 1
KIND_REQUEST: constant(uint256) = 2
KIND_NOTICE: constant(uint256) = 3
KIND_RETURN: constant(uint256) = 4

# struct hash of the last settlement; 0 before the first
last_settlement: public(bytes32)

# hash of all flows so far
flows_head: public(bytes32)

# of the batch that was committed last: its root and terms, and the flows before it
batch_root: public(bytes32)
batch_terms: public(bytes32)
batch_flows_head: public(bytes32)

# whether leaves with this hash were published
published: public(HashMap[bytes32, bool])

vaults: DynArray[address, VAULTS_MAX]
is_vault: HashMap[address, bool]

# packed words, from the lowest bit; seconds and flow numbers have 48 bits:
# committed 64, settled 64, committed_at 48, flows_committed 48, is_open 1, must_be_empty 1
batch_word: uint256
# flows 48, settled_at 48, committed requests since 48, requests since 48, declared_at 48, closed 1
clock_word: uint256

MASK_48: constant(uint256) = 2**48 - 1
MASK_64: constant(uint256) = 2**64 - 1


@deploy
def __init__(
    members: DynArray[address, committee.KEYPERS_MAX],
    key_id: bytes32,
    circuits: bytes32,
    vault_blueprint: address,
    terms: DynArray[VaultTerms, VAULTS_MAX],
    parties: Parties,
):
    """
    @notice Appoint the first committee and create the vaults.
    @dev Reverts with "vaults", "committee size", "zero address" or "keyper twice", or a reason of
         the vault.
    @param members Addresses of the keypers' signing keys, in the order of their numbers.
    @param key_id Digest of the committee's public encryption keys.
    @param circuits Digest of the circuits that the keys serve.
    @param vault_blueprint Where the code of the vault stands (ERC-5202).
    @param terms Token and bounds of each vault, the one of cash first.
    @param parties Who gets the insurance fund and the treasury when the venue ends, who gets strange
           tokens, and the address of Permit2.
    """
    assert len(terms) != 0, "vaults"
    committee._check_members(members)
    committee._appoint(members, key_id, circuits)
    for term: VaultTerms in terms:
        vault: address = create_from_blueprint(
            vault_blueprint,
            term.token,
            self,
            term.deposit_min,
            term.accounts_max,
            parties.fund,
            parties.treasury,
            parties.rescuer,
            parties.permit2,
        )
        self.vaults.append(vault)
        self.is_vault[vault] = True
    self.clock_word = block.timestamp << 48


@external
def commit_batch(batch: Batch, signatures: Bytes[committee.SIGNATURES_BYTES_MAX]):
    """
    @notice Fix the batch of an interval before anything in it is opened.
    @dev Any sender. Each interval is committed at most once.
         Reverts with "winding down", "batch open", "interval", "root missing", "too late", "not
         empty" when the batch before was voided and this one holds intents, or a reason of the
         signature check.
    @param batch Interval, Merkle root and number of the admitted intents, digests of terms and of
           the plan of masks, and the last second in which it may be committed.
    @param signatures BatchRoot signatures of a quorum of keypers, 65 bytes each, in any order.
    """
    clock: uint256 = self.clock_word
    word: uint256 = self.batch_word
    assert not self._is_due(clock), "winding down"
    assert not self._is_open(word), "batch open"
    committed: uint64 = self._committed(word)
    assert batch.interval > committed, "interval"
    assert batch.interval - committed <= INTERVAL_JUMP_MAX, "interval"
    assert batch.root != empty(bytes32), "root missing"
    assert block.timestamp <= convert(batch.commit_by, uint256), "too late"
    assert batch.count == 0 or not self._must_be_empty(word), "not empty"
    previous: bytes32 = self.last_settlement
    struct_hash: bytes32 = keccak256(
        abi_encode(
            BATCH_TYPE_HASH,
            batch.interval,
            batch.root,
            batch.count,
            previous,
            batch.terms,
            batch.plan,
            batch.commit_by,
        )
    )
    signers: uint256 = committee._check_quorum(struct_hash, signatures, committee.excluded)
    committee._bar()
    flows: uint256 = clock & MASK_48
    head: bytes32 = self.flows_head
    self.batch_root = batch.root
    self.batch_terms = batch.terms
    self.batch_flows_head = head
    self.batch_word = self._batch_word(
        batch.interval, self._settled(word), block.timestamp, flows, True, self._must_be_empty(word)
    )
    self.clock_word = self._requests_committed(clock)
    log BatchCommitted(
        interval=batch.interval,
        batch=batch,
        previous_settlement=previous,
        flows=convert(flows, uint64),
        flows_head=head,
        signers=signers,
    )


@external
def settle(
    interval: uint64,
    outcome: Outcome,
    trees: DynArray[Tree, VAULTS_MAX],
    results: Bytes[RESULTS_BYTES_MAX],
    signatures: Bytes[committee.SIGNATURES_BYTES_MAX],
):
    """
    @notice Record what came of the open batch, and give the vaults the new balances.
    @dev Any sender. The leaves have to be public before: either `publish` took them, or this
         transaction carries them as blobs.
         Reverts with "not the open batch", "too late", "root missing", "results length", "leaves",
         a reason of `IVault.settle`, or a reason of the signature check.
    @param interval The interval of the open batch.
    @param outcome Digests of prices, fills, state, leaves and record.
    @param trees One tree of balances for each vault, in the vaults' order.
    @param results For each instrument its name, then volume * 2**64 + price tick * 2 + crossed.
    @param signatures Settlement signatures of a quorum of keypers, 65 bytes each, in any order.
    """
    word: uint256 = self.batch_word
    assert self._is_open(word) and interval == self._committed(word), "not the open batch"
    assert not self._is_expired(word), "too late"
    assert outcome.fills_root != empty(bytes32) and outcome.state_root != empty(
        bytes32
    ), "root missing"
    assert len(results) % RESULT_BYTES == 0, "results length"
    self._check_public(outcome)
    struct_hash: bytes32 = keccak256(
        abi_encode(
            SETTLEMENT_TYPE_HASH,
            interval,
            self.batch_root,
            self.last_settlement,
            self.batch_flows_head,
            keccak256(results),
            outcome.prices,
            outcome.fills_root,
            outcome.state_root,
            self._trees_hash(trees),
            outcome.leaf_hash,
            self._blobs_hash(outcome.leaf_blobs),
            outcome.record_digest,
            self.batch_terms,
        )
    )
    signers: uint256 = committee._check_quorum(struct_hash, signatures, committee.barred)
    flows: uint256 = self._flows_committed(word)
    self.last_settlement = struct_hash
    self.batch_word = self._batch_word(
        interval, interval, self._committed_at(word), flows, False, False
    )
    self.clock_word = self._settled_now(self.clock_word)
    self._give(interval, trees, convert(flows, uint64))
    log BatchSettled(
        interval=interval,
        settlement=struct_hash,
        outcome=outcome,
        trees=trees,
        results=results,
        signers=signers,
    )


@external
def void(interval: uint64):
    """
    @notice Close a batch that was not settled in time; the last settled balances stand.
    @dev Any sender. The interval is never committed again, and the next batch must be empty. No
         clock of a waiting request is reset.
         Reverts with "not the open batch" or "too early".
    @param interval The interval of the open batch.
    """
    word: uint256 = self.batch_word
    assert self._is_open(word) and interval == self._committed(word), "not the open batch"
    assert self._is_expired(word), "too early"
    self._void(word)


@external
def publish(leaves: Bytes[LEAVES_BYTES_MAX]):
    """
    @notice Put the leaves of a settlement on the chain for ever.
    @dev Any sender, at any time, before or after the settlement that names their hash.
    @param leaves Leaves of 52 bytes, ascending by account, one vault after the other.
    """
    leaf_hash: bytes32 = keccak256(leaves)
    self.published[leaf_hash] = True
    log LeavesPublished(leaf_hash=leaf_hash, leaves=leaves)


@external
def exclude_for_batch(first: committee.Statement, second: committee.Statement):
    """
    @notice Exclude a keyper that signed two different batches for one interval.
    @dev Any sender, at any time. Reverts as `committee._exclude` does.
    @param first The seven fields of one BatchRoot as EIP-712 encodes them, and its signature.
    @param second Those of another.
    """
    committee._exclude(BATCH_TYPE_HASH, BATCH_WORDS, first, second)


@external
def exclude_for_settlement(first: committee.Statement, second: committee.Statement):
    """
    @notice Exclude a keyper that signed two different settlements for one interval.
    @dev Any sender, at any time. Reverts as `committee._exclude` does.
    @param first The thirteen fields of one Settlement as EIP-712 encodes them, and its signature.
    @param second Those of another.
    """
    committee._exclude(SETTLEMENT_TYPE_HASH, SETTLEMENT_WORDS, first, second)


@external
def exclude_for_rotation(first: committee.Statement, second: committee.Statement):
    """
    @notice Exclude a keyper that signed two different rotations for one epoch.
    @dev Any sender, at any time. Reverts as `committee._exclude` does.
    @param first The five fields of one Rotation as EIP-712 encodes them, and its signature.
    @param second Those of another.
    """
    committee._exclude(committee.ROTATION_TYPE_HASH, ROTATION_WORDS, first, second)


@external
def announce_rotation(
    epoch: uint64,
    next: DynArray[address, committee.KEYPERS_MAX],
    key_id: bytes32,
    circuits: bytes32,
    signatures: Bytes[committee.SIGNATURES_BYTES_MAX],
):
    """
    @notice Announce the next committee; it takes over after a week, a day and an hour at the
            earliest.
    @dev Any sender; one announcement an epoch. Reverts with "ended", "epoch", "rotation announced",
         or a reason of the check of the members or of the signatures.
    @param epoch Number of the next committee.
    @param next Addresses of its keypers' signing keys, in the order of their numbers.
    @param key_id Digest of its public encryption keys.
    @param circuits Digest of the circuits that the keys serve.
    @param signatures Rotation signatures of a quorum of the present committee, 65 bytes each.
    """
    assert self._declared_at(self.clock_word) == 0, "ended"
    committee._announce(epoch, next, key_id, circuits, signatures)


@external
def rotate():
    """
    @notice Let the announced committee take over.
    @dev Any sender. It stops no clock. Reverts with "ended", "batch open", "no rotation" or "too
         early".
    """
    assert self._declared_at(self.clock_word) == 0, "ended"
    assert not self._is_open(self.batch_word), "batch open"
    committee._rotate()


@external
def declare():
    """
    @notice End a venue that let a request wait for a week, or settled nothing for two.
    @dev Any sender; nobody's key is needed. A batch that is still open has its time first.
         Reverts with "ended", "too early" or "batch open".
    """
    clock: uint256 = self.clock_word
    assert self._declared_at(clock) == 0, "ended"
    assert self._is_due(clock), "too early"
    word: uint256 = self.batch_word
    if self._is_open(word):
        assert self._is_expired(word), "batch open"
        self._void(word)
    self.clock_word = clock | (block.timestamp << 192)
    log WindDownDeclared(at=block.timestamp)


@external
def close(
    outcome: Outcome,
    trees: DynArray[Tree, VAULTS_MAX],
    terms: bytes32,
    signatures: Bytes[committee.SIGNATURES_BYTES_MAX],
):
    """
    @notice Value all positions once more after the declaration; exits open at once.
    @dev Any sender, once, within a day of the declaration. It counts no deposit that the last
         settlement did not count. What is signed names the second of the declaration, so a closing
         of one side of a fork does not hold on another, where it would come at other prices.
         `outcome.fills_root` is not part of what is signed and must be 0.
         Reverts with "not declared", "too late", "closed", "root missing", "leaves", a reason of
         `IVault.settle`, or a reason of the signature check.
    @param outcome Digests of prices, state, leaves and record.
    @param trees One tree of balances for each vault, in the vaults' order.
    @param terms Digest of the terms under which prices were reported.
    @param signatures Closing signatures of a quorum of keypers, 65 bytes each, in any order.
    """
    clock: uint256 = self.clock_word
    declared_at: uint256 = self._declared_at(clock)
    assert declared_at != 0, "not declared"
    assert not self._is_closed(clock), "closed"
    assert block.timestamp < declared_at + CLOSING_TIMEOUT, "too late"
    assert outcome.fills_root == empty(bytes32), "root missing"
    assert outcome.state_root != empty(bytes32), "root missing"
    self._check_public(outcome)
    struct_hash: bytes32 = keccak256(
        abi_encode(
            CLOSING_TYPE_HASH,
            declared_at,
            self.last_settlement,
            outcome.prices,
            outcome.state_root,
            self._trees_hash(trees),
            outcome.leaf_hash,
            self._blobs_hash(outcome.leaf_blobs),
            outcome.record_digest,
            terms,
        )
    )
    signers: uint256 = committee._check_quorum(struct_hash, signatures, committee.excluded)
    self.last_settlement = struct_hash
    self.clock_word = clock | (1 << 240)
    self._give(CLOSING_INTERVAL, trees, convert(self._flows_committed(self.batch_word), uint64))
    log Closed(settlement=struct_hash, outcome=outcome, trees=trees, signers=signers)


@external
def report(kind: uint256, account: address, amount: uint256, number: uint64) -> (uint64, uint64):
    """
    @notice Append a flow of the calling vault to the chain of flows.
    @dev Reverts with "not a vault", and with "winding down" for what only a running venue takes.
    @param kind 1 for a deposit, 2 for a request, 3 for a notice, 4 for a return.
    @param account Whose.
    @param amount Token units.
    @param number The deposit's number for a notice or a return, else 0.
    @return The flow's index, counted from 1, and the interval that was committed last.
    """
    assert self.is_vault[msg.sender], "not a vault"
    clock: uint256 = self.clock_word
    if kind == KIND_DEPOSIT:
        assert not self._is_due(clock), "winding down"
    elif kind != KIND_RETURN:
        assert self._declared_at(clock) == 0, "winding down"
        if (clock >> 144) & MASK_48 == 0:
            clock |= block.timestamp << 144
    clock += 1
    index: uint256 = clock & MASK_48
    head: bytes32 = keccak256(
        abi_encode(self.flows_head, index, kind, msg.sender, account, amount, number)
    )
    self.flows_head = head
    self.clock_word = clock
    log Flow(
        index=convert(index, uint64),
        vault=msg.sender,
        account=account,
        kind=convert(kind, uint8),
        amount=convert(amount, uint128),
        number=number,
        head=head,
    )
    return convert(index, uint64), self._committed(self.batch_word)


@external
@view
def exits_open() -> bool:
    """
    @notice Whether everybody can leave with everything.
    @return True from the closing settlement on, or a day after the declaration.
    """
    clock: uint256 = self.clock_word
    declared_at: uint256 = self._declared_at(clock)
    if declared_at == 0:
        return False
    return self._is_closed(clock) or block.timestamp >= declared_at + CLOSING_TIMEOUT


@external
@view
def is_declared() -> bool:
    """
    @notice Whether the venue has ended.
    @return True from the declaration on, for ever.
    """
    return self._declared_at(self.clock_word) != 0


@external
@view
def flows_of_open_batch() -> uint64:
    """
    @notice How many flows a batch counts on that can still settle.
    @return Index of the last flow before its commitment; 0 when there is no such batch.
    """
    word: uint256 = self.batch_word
    if not self._is_open(word) or self._is_expired(word):
        return 0
    return convert(self._flows_committed(word), uint64)


@external
@view
def is_due() -> bool:
    """
    @notice Whether the venue has to end; no batch can be committed any more.
    @return True while a request waits for a week or longer, or two weeks after a settlement.
    """
    return self._is_due(self.clock_word)


@external
@view
def standing() -> Standing:
    """
    @notice All numbers of the venue in one answer.
    @return Last committed and settled interval, the open batch, flows and clocks; seconds are since
            1970, 0 for never.
    """
    word: uint256 = self.batch_word
    clock: uint256 = self.clock_word
    waiting: uint256 = (clock >> 96) & MASK_48
    if waiting == 0:
        waiting = (clock >> 144) & MASK_48
    return Standing(
        committed=self._committed(word),
        settled=self._settled(word),
        committed_at=self._committed_at(word),
        is_open=self._is_open(word),
        must_be_empty=self._must_be_empty(word),
        flows=convert(clock & MASK_48, uint64),
        flows_committed=convert(self._flows_committed(word), uint64),
        settled_at=(clock >> 48) & MASK_48,
        waiting_since=waiting,
        declared_at=self._declared_at(clock),
        is_closed=self._is_closed(clock),
    )


@external
@view
def committee_members() -> DynArray[address, committee.KEYPERS_MAX]:
    """
    @notice All keypers.
    @return Addresses of their signing keys, in the order of their numbers.
    """
    return committee.keypers


@external
@view
def quorum() -> uint256:
    """
    @notice How many keypers have to sign.
    @return Signatures.
    """
    return committee._quorum()


@external
@view
def excluded() -> uint128:
    """
    @notice Keypers whose signatures count no more from the next commitment on.
    @return A bit set: bit i - 1 for keyper number i.
    """
    return committee.excluded


@external
@view
def next_committee() -> (DynArray[address, committee.KEYPERS_MAX], bytes32, bytes32, uint256):
    """
    @notice The committee that is announced.
    @return Its keypers, key id and circuits, and the second from which it may take over; 0 for none.
    """
    return (
        committee.next_keypers,
        committee.next_key_id,
        committee.next_circuits,
        committee.next_active_from,
    )


@external
@view
def vault_addresses() -> DynArray[address, VAULTS_MAX]:
    """
    @notice All vaults.
    @return Their addresses, the one of cash first.
    """
    return self.vaults


@external
@view
def eip712Domain() -> eip712.EIP712Domain:
    """
    @notice The domain of all signatures that Settlement and its vaults check (ERC-5267).
    @return Name, version, chain id and this contract.
    """
    return eip712._domain(self)


@internal
def _void(word: uint256):
    """
    @notice Close the open batch without an outcome.
    @param word The batch word.
    """
    self.batch_word = self._batch_word(
        self._committed(word),
        self._settled(word),
        self._committed_at(word),
        self._flows_committed(word),
        False,
        True,
    )
    log BatchVoided(interval=self._committed(word))


@internal
def _give(interval: uint64, trees: DynArray[Tree, VAULTS_MAX], flows: uint64):
    """
    @notice Give each vault its new balances.
    @dev Reverts with "trees" unless there is one tree for each vault in the vaults' order.
    @param interval Under what number the vaults keep them.
    @param trees Root and sums for each vault.
    @param flows Index of the last flow before the batch.
    """
    assert len(trees) == len(self.vaults), "trees"
    for i: uint256 in range(len(trees), bound=VAULTS_MAX):
        tree: Tree = trees[i]
        assert tree.vault == self.vaults[i], "trees"
        extcall IVault(tree.vault).settle(
            interval, tree.root, tree.exit_total, tree.claim_total, flows
        )


@internal
@view
def _check_public(outcome: Outcome):
    """
    @notice Check that the leaves are public, so that everybody can make a proof.
    @dev Reverts with "leaves".
    @param outcome Names them by hash and as blobs.
    """
    if outcome.leaf_hash == EMPTY_HASH or self.published[outcome.leaf_hash]:
        return
    assert len(outcome.leaf_blobs) != 0, "leaves"
    for i: uint256 in range(len(outcome.leaf_blobs), bound=BLOBS_MAX):
        assert blobhash(i) == outcome.leaf_blobs[i], "leaves"


@internal
@pure
def _trees_hash(trees: DynArray[Tree, VAULTS_MAX]) -> bytes32:
    """
    @notice EIP-712 encoding of a list of trees.
    @param trees Root and sums for each vault.
    @return keccak256 of their struct hashes.
    """
    hashes: DynArray[bytes32, VAULTS_MAX] = []
    for tree: Tree in trees:
        hashes.append(
            keccak256(
                abi_encode(TREE_TYPE_HASH, tree.vault, tree.root, tree.exit_total, tree.claim_total)
            )
        )
    encoded: Bytes[32 * (VAULTS_MAX + 2)] = abi_encode(hashes)
    return keccak256(slice(encoded, committee.ARRAY_HEAD_BYTES, 32 * len(hashes)))


@internal
@pure
def _blobs_hash(blobs: DynArray[bytes32, BLOBS_MAX]) -> bytes32:
    """
    @notice EIP-712 encoding of a list of versioned hashes (EIP-4844).
    @param blobs Versioned hashes.
    @return keccak256 of them.
    """
    encoded: Bytes[32 * (BLOBS_MAX + 2)] = abi_encode(blobs)
    return keccak256(slice(encoded, committee.ARRAY_HEAD_BYTES, 32 * len(blobs)))


@internal
@view
def _is_due(clock: uint256) -> bool:
    """
    @notice Whether the venue has to end.
    @param clock The clock word.
    @return True when a request waited too long, nothing settled for too long, or it has ended.
    """
    if self._declared_at(clock) != 0:
        return True
    if block.timestamp >= ((clock >> 48) & MASK_48) + SILENCE_TIMEOUT:
        return True
    since: uint256 = (clock >> 96) & MASK_48
    if since == 0:
        since = (clock >> 144) & MASK_48
    return since != 0 and block.timestamp >= since + REQUEST_TIMEOUT


@internal
@pure
def _requests_committed(clock: uint256) -> uint256:
    """
    @notice Requests so far are in a batch now: the oldest goes on waiting for its settlement.
    @param clock The clock word.
    @return The clock word with the later request moved to the earlier one, or dropped beside it.
    """
    later: uint256 = (clock >> 144) & MASK_48
    cleared: uint256 = clock & ~(MASK_48 << 144)
    if (clock >> 96) & MASK_48 == 0:
        cleared |= later << 96
    return cleared


@internal
@view
def _settled_now(clock: uint256) -> uint256:
    """
    @notice A settlement has answered all requests before its commitment.
    @param clock The clock word.
    @return The clock word with this time of settlement and without committed requests.
    """
    kept: uint256 = clock & ~((MASK_48 << 48) | (MASK_48 << 96))
    return kept | (block.timestamp << 48)


@internal
@pure
def _declared_at(clock: uint256) -> uint256:
    """
    @notice When the venue ended.
    @param clock The clock word.
    @return Seconds; 0 while it runs.
    """
    return (clock >> 192) & MASK_48


@internal
@pure
def _is_closed(clock: uint256) -> bool:
    """
    @notice Whether the closing settlement came.
    @param clock The clock word.
    @return True from then on.
    """
    return clock >> 240 != 0


@internal
@pure
def _batch_word(
    committed: uint64,
    settled: uint64,
    committed_at: uint256,
    flows: uint256,
    is_open: bool,
    must_be_empty: bool,
) -> uint256:
    """
    @notice Pack all about the batch that was committed last into one word.
    @param committed Its interval.
    @param settled The interval that was settled last.
    @param committed_at When, in seconds.
    @param flows Index of the last flow before it.
    @param is_open Whether it is neither settled nor void.
    @param must_be_empty Whether the one before it was void.
    @return The batch word.
    """
    word: uint256 = convert(committed, uint256) | (convert(settled, uint256) << 64)
    word |= (committed_at << 128) | (flows << 176)
    word |= (convert(is_open, uint256) << 224) | (convert(must_be_empty, uint256) << 225)
    return word


@internal
@pure
def _committed(word: uint256) -> uint64:
    """
    @notice The interval that was committed last.
    @param word The batch word.
    @return The interval.
    """
    return convert(word & MASK_64, uint64)


@internal
@pure
def _settled(word: uint256) -> uint64:
    """
    @notice The interval that was settled last.
    @param word The batch word.
    @return The interval.
    """
    return convert((word >> 64) & MASK_64, uint64)


@internal
@pure
def _committed_at(word: uint256) -> uint256:
    """
    @notice When the last batch was committed.
    @param word The batch word.
    @return Seconds.
    """
    return (word >> 128) & MASK_48


@internal
@pure
def _flows_committed(word: uint256) -> uint256:
    """
    @notice Index of the last flow before the last commitment.
    @param word The batch word.
    @return The index.
    """
    return (word >> 176) & MASK_48


@internal
@pure
def _is_open(word: uint256) -> bool:
    """
    @notice Whether the last batch is neither settled nor void.
    @param word The batch word.
    @return Also true after its time, until somebody voids it.
    """
    return (word >> 224) & 1 == 1


@internal
@pure
def _must_be_empty(word: uint256) -> bool:
    """
    @notice Whether the next batch must be empty, because the last one was void.
    @param word The batch word.
    @return True until a batch settles.
    """
    return (word >> 225) & 1 == 1


@internal
@view
def _is_expired(word: uint256) -> bool:
    """
    @notice Whether the time to settle the last batch is over.
    @param word The batch word.
    @return True from the first second in which it can be voided and no longer settled.
    """
    return block.timestamp >= self._committed_at(word) + SETTLEMENT_TIMEOUT
