# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
# SPDX-License-Identifier: Apache-2.0
"""
@title Collateral vault
@license Apache-2.0
@notice Holds the collateral of a venue, in one ERC-20 token, and pays what settlements granted.
@dev A settlement gives each account two amounts. `claimable` is all that it was ever granted for
     withdrawal; it is paid at any time, under the root of any settled interval, up to what was not
     paid before. `exit_value` is all else that it owns here; it is paid when the venue has ended,
     under the last root. Nothing that an operator or a keyper does pauses a payment.
     All payments together never exceed what was paid in, whatever the keypers sign: a settlement
     must not grant more than the deposits that it counts, and each payment is held to the sums of
     the last root. A deposit that no settlement counts yet goes back whole, a day after its
     account gave notice or as soon as the venue has ended, and no root can touch it.
     A token that takes a fee is refused; of one that lost balances everybody bears the same share.
     Revert reasons are short strings; each function names its own.
"""

from ethereum.ercs import IERC20

import eip712
import sum_tree


interface ISettlement:
    def report(
        kind: uint256, account: address, amount: uint256, number: uint64
    ) -> (uint64, uint64): nonpayable
    def exits_open() -> bool: view
    def is_declared() -> bool: view
    def flows_of_open_batch() -> uint64: view


interface IPermit2:
    def permitWitnessTransferFrom(
        permit: PermitTransferFrom,
        details: TransferDetails,
        owner: address,
        witness: bytes32,
        witness_type: String[WITNESS_TYPE_LENGTH],
        signature: Bytes[eip712.ACCOUNT_SIGNATURE_BYTES_MAX],
    ): nonpayable


struct TokenPermissions:
    token: address
    amount: uint256


struct PermitTransferFrom:
    permitted: TokenPermissions
    nonce: uint256
    deadline: uint256


struct TransferDetails:
    to: address
    amount: uint256


# What an account signs so that another sender can claim for it. It is good for all that is claimable
# up to `cumulative`, and for nothing that is granted later.
struct Claim:
    account: address
    to: address
    cumulative: uint128
    fee: uint128
    deadline: uint64


# What an account signs so that another sender can take a deposit back for it.
struct TakeBack:
    account: address
    to: address
    number: uint64
    fee: uint128
    deadline: uint64


event Deposited:
    account: indexed(address)
    payer: indexed(address)
    number: uint64
    amount: uint256


event Noticed:
    account: indexed(address)
    number: uint64
    amount: uint256


event Returned:
    account: indexed(address)
    to: indexed(address)
    number: uint64
    amount: uint256
    paid: uint256
    fee: uint256


event Settled:
    interval: indexed(uint64)
    root: bytes32
    exit_total: uint128
    claim_total: uint128
    counted: uint256


event Claimed:
    account: indexed(address)
    to: indexed(address)
    cumulative: uint256
    paid: uint256
    fee: uint256


event Rescued:
    token: indexed(address)
    amount: uint256


DEPOSITS_MAX: constant(uint256) = 200

# a deposit and its account share one word
DEPOSIT_MAX: constant(uint256) = 2**96 - 1

# seconds from the notice of a deposit to its return
NOTICE_PERIOD: public(constant(uint256)) = 86_400

# the interval under which the closing settlement is kept
CLOSING_INTERVAL: constant(uint64) = max_value(uint64)

# accounts below this address stand for what belongs to no client, and neither deposit nor claim:
# claims of pruned leaves, the insurance fund, the treasury
RESERVED: constant(uint160) = 2**16
FUND: constant(address) = 0x0000000000000000000000000000000000000002
TREASURY: constant(address) = 0x0000000000000000000000000000000000000003

KIND_DEPOSIT: constant(uint256) = 1
KIND_REQUEST: constant(uint256) = 2
KIND_NOTICE: constant(uint256) = 3
KIND_RETURN: constant(uint256) = 4

CLAIM_TYPE_HASH: constant(bytes32) = keccak256(
    "Claim(address account,address vault,address to,uint128 cumulative,uint128 fee,uint64 deadline)"
)
TAKE_BACK_TYPE_HASH: constant(bytes32) = keccak256(
    "TakeBack(address account,address vault,address to,uint64 number,uint128 fee,uint64 deadline)"
)
DEPOSIT_TYPE_HASH: constant(bytes32) = keccak256("Deposit(address account)")
WITNESS_TYPE_LENGTH: constant(uint256) = 90
WITNESS_TYPE: constant(String[WITNESS_TYPE_LENGTH]) = (
    "Deposit witness)Deposit(address account)TokenPermissions(address token,uint256 amount)"
)

MASK_32: constant(uint256) = 2**32 - 1
MASK_48: constant(uint256) = 2**48 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_128: constant(uint256) = 2**128 - 1
MASK_160: constant(uint256) = 2**160 - 1

# the collateral
token: public(immutable(IERC20))

# where balances are settled
settlement: public(immutable(ISettlement))

# least amount of a deposit, in token units
deposit_min: public(immutable(uint256))

# the vault refuses a new account above so many
accounts_max: public(immutable(uint256))

# who gets the insurance fund and the treasury when the venue has ended
fund: public(immutable(address))
treasury: public(immutable(address))

# who gets other tokens that were sent here
rescuer: public(immutable(address))

# Permit2, which moves tokens by its owner's signature
permit2: public(immutable(IPermit2))

# root of the balances under each settled interval
roots: public(HashMap[uint64, bytes32])

# account + amount * 2**160 of each deposit that was not returned, by its number
deposits: HashMap[uint64, uint256]

# when notice of a deposit was given, in seconds
noticed_at: public(HashMap[uint64, uint256])

# packed words, from the lowest bit; deposits are less returns:
# of an account: paid 128, number of its last deposit 48, deposits not returned 32, seated 1
accounts: HashMap[address, uint256]
# sums of the last root: claim_total 128, exit_total 128
totals_word: uint256
# paid to all 128, deposits that the last settlement does not count 128
paid_word: uint256
# deposits that the last settlement counted 128, and that it did not count at the commitment of the
# interval in place_word 128
counted_word: uint256
# interval of the last commitment before the last deposit or return 64, last settled interval 64,
# its last flow 48, seated accounts 32
place_word: uint256


@deploy
def __init__(
    token_: IERC20,
    settlement_: ISettlement,
    deposit_min_: uint256,
    accounts_max_: uint256,
    fund_: address,
    treasury_: address,
    rescuer_: address,
    permit2_: IPermit2,
):
    """
    @notice Fix the collateral and who is who.
    @dev Reverts with "no contract" when the token holds no code, with "zero address" or "bounds".
    @param token_ The ERC-20 token that is collateral.
    @param settlement_ The settlement contract whose balances are paid.
    @param deposit_min_ Least amount of a deposit, in token units.
    @param accounts_max_ The vault refuses a new account above so many.
    @param fund_ Who gets the insurance fund when the venue has ended.
    @param treasury_ Who gets the treasury then.
    @param rescuer_ Who gets other tokens that were sent here.
    @param permit2_ The address of Permit2.
    """
    assert token_.address.is_contract, "no contract"
    assert fund_ != empty(address) and treasury_ != empty(address), "zero address"
    assert rescuer_ != empty(address), "zero address"
    assert deposit_min_ != 0 and deposit_min_ <= DEPOSIT_MAX, "bounds"
    assert accounts_max_ != 0 and accounts_max_ <= MASK_32, "bounds"
    token = token_
    settlement = settlement_
    deposit_min = deposit_min_
    accounts_max = accounts_max_
    fund = fund_
    treasury = treasury_
    rescuer = rescuer_
    permit2 = permit2_


@external
def deposit(account: address, amount: uint256) -> uint64:
    """
    @notice Pay in for an account from the caller's tokens, which the caller has approved.
    @dev Reverts with "winding down", "reserved account", "deposit amount", "accounts", "transfer"
         or "amount received".
    @param account Whose claim it becomes.
    @param amount Token units.
    @return The deposit's number.
    """
    self._receive(amount)
    return self._credit(account, amount)


@external
def deposit_many(
    for_accounts: DynArray[address, DEPOSITS_MAX], amounts: DynArray[uint256, DEPOSITS_MAX]
):
    """
    @notice Pay in for many accounts with one transfer of the sum, which the caller has approved.
    @dev Reverts as `deposit` does, and with "lengths" when the lists differ in length.
    @param for_accounts Whose claims they become; an account may stand here more than once.
    @param amounts Token units for each.
    """
    assert len(for_accounts) == len(amounts), "lengths"
    total: uint256 = 0
    for amount: uint256 in amounts:
        total += amount
    self._receive(total)
    for i: uint256 in range(len(for_accounts), bound=DEPOSITS_MAX):
        self._credit(for_accounts[i], amounts[i])


@external
def deposit_with_permit(
    account: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32
) -> uint64:
    """
    @notice Pay in from the caller's tokens, with the caller's permit (EIP-2612) for the amount.
    @dev A permit that the token refuses is ignored: another sender may have used it already, and
         then the allowance stands. Reverts as `deposit` does.
    @param account Whose claim it becomes.
    @param amount Token units.
    @param deadline Until when the permit holds, in seconds.
    @param v Of the permit's signature.
    @param r Of the permit's signature.
    @param s Of the permit's signature.
    @return The deposit's number.
    """
    ignored: bool = raw_call(
        token.address,
        abi_encode(
            msg.sender, self, amount, deadline, v, r, s, method_id=method_id(
                "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"
            )
        ),
        revert_on_failure=False,
    )
    self._receive(amount)
    return self._credit(account, amount)


@external
def deposit_with_permit2(
    owner: address,
    account: address,
    amount: uint256,
    nonce: uint256,
    deadline: uint256,
    signature: Bytes[eip712.ACCOUNT_SIGNATURE_BYTES_MAX],
) -> uint64:
    """
    @notice Pay in from an owner's tokens by its signature for Permit2; any sender.
    @dev The signature names the account as its witness, so a sender cannot pay in for another one.
         Reverts as `deposit` does, and as Permit2 does.
    @param owner Whose tokens, and whose signature.
    @param account Whose claim it becomes.
    @param amount Token units.
    @param nonce Of the owner at Permit2; each is good once.
    @param deadline Until when the signature holds, in seconds.
    @param signature PermitWitnessTransferFrom with the witness Deposit(address account).
    @return The deposit's number.
    """
    before: uint256 = staticcall token.balanceOf(self)
    extcall permit2.permitWitnessTransferFrom(
        PermitTransferFrom(
            permitted=TokenPermissions(token=token.address, amount=amount),
            nonce=nonce,
            deadline=deadline,
        ),
        TransferDetails(to=self, amount=amount),
        owner,
        keccak256(abi_encode(DEPOSIT_TYPE_HASH, account)),
        WITNESS_TYPE,
        signature,
    )
    assert staticcall token.balanceOf(self) == before + amount, "amount received"
    return self._credit(account, amount)


@external
def request(amount: uint128):
    """
    @notice Ask for a withdrawal in the next settlement, as the account that owns it.
    @dev The settlement grants what the account does not need as margin, up to the amount; what it
         does not grant lapses. The last request before a commitment counts.
         Reverts with "winding down" or "reserved account".
    @param amount Token units; more than there is means all.
    """
    self._check_account(msg.sender)
    self._report(KIND_REQUEST, msg.sender, convert(amount, uint256), 0)


@external
def give_notice(number: uint64):
    """
    @notice Ask for a deposit back that no settlement counts yet, as the account that it is for.
    @dev From the notice on no keyper certifies an intent against it. It can be returned a day
         later, unless a batch that was committed before the return settles: then it counts as
         settled, and the notice as a request for as much.
         Reverts with "winding down", "deposit", "account", "settled" or "noticed".
    @param number The deposit's number.
    """
    entry: uint256 = self._own_deposit(msg.sender, number)
    assert self.noticed_at[number] == 0, "noticed"
    self.noticed_at[number] = block.timestamp
    self._report(KIND_NOTICE, msg.sender, entry >> 160, number)
    log Noticed(account=msg.sender, number=number, amount=entry >> 160)


@external
def take_back(number: uint64, to: address) -> uint256:
    """
    @notice Return a deposit that no settlement counts, as the account that it is for.
    @dev A day after the notice, and not while a batch is open that counts it; without any notice
         once the venue has ended.
         Reverts with "deposit", "account", "settled", "too early", "batch open", "zero address" or
         "transfer".
    @param number The deposit's number.
    @param to Who is paid.
    @return Token units paid: all of it, unless the token lost balances.
    """
    return self._take_back(msg.sender, number, to, 0)


@external
def take_back_for(
    order: TakeBack, signature: Bytes[eip712.ACCOUNT_SIGNATURE_BYTES_MAX]
) -> uint256:
    """
    @notice Return a deposit to an account that signed for it, with its key or as a contract.
    @dev Any sender, who gets the fee out of what is paid. Reverts as `take_back` does, and with
         "deadline", "fee", or a reason of the signature check.
    @param order What the account signed.
    @param signature Of the account.
    @return Token units paid, the fee included.
    """
    struct_hash: bytes32 = keccak256(
        abi_encode(
            TAKE_BACK_TYPE_HASH,
            order.account,
            self,
            order.to,
            order.number,
            order.fee,
            order.deadline,
        )
    )
    self._check_signed(struct_hash, order.account, order.deadline, signature)
    return self._take_back(order.account, order.number, order.to, convert(order.fee, uint256))


@external
def settle(
    interval: uint64, root: bytes32, exit_total: uint128, claim_total: uint128, flows: uint64
):
    """
    @notice Take the balances of a settled interval.
    @dev Only Settlement calls it. Reverts with "not settlement", "claims shrink" when less was
         granted than before, and with "counted" when the balances exceed the deposits before the
         batch, less returns.
    @param interval The interval.
    @param root Root of the sum tree of balances.
    @param exit_total Sum of all exit values.
    @param claim_total Sum of all that was ever granted.
    @param flows Index of the last flow before the batch; the closing settlement counts no new one.
    """
    assert msg.sender == settlement.address, "not settlement"
    exits: uint256 = convert(exit_total, uint256)
    claims: uint256 = convert(claim_total, uint256)
    assert claims >= self.totals_word & MASK_128, "claims shrink"
    place: uint256 = self.place_word
    counted: uint256 = self.counted_word & MASK_128
    if interval != CLOSING_INTERVAL:
        paid: uint256 = self.paid_word
        newly: uint256 = paid >> 128
        if place & MASK_64 == convert(interval, uint256):
            newly = self.counted_word >> 128
        counted += newly
        self.counted_word = counted
        self.paid_word = paid - (newly << 128)
        place = (place & ~(MASK_48 << 128)) | (convert(flows, uint256) << 128)
    assert exits + claims <= counted, "counted"
    self.roots[interval] = root
    self.totals_word = (exits << 128) | claims
    self.place_word = (place & ~(MASK_64 << 64)) | (convert(interval, uint256) << 64)
    log Settled(
        interval=interval,
        root=root,
        exit_total=exit_total,
        claim_total=claim_total,
        counted=counted,
    )


@external
def claim(
    interval: uint64, leaf: sum_tree.Leaf, proof: sum_tree.Proof, to: address
) -> uint256:
    """
    @notice Pay the caller all that it was granted under a root and not paid yet.
    @dev Reverts with "account", "no root", a reason of the proof, "proof", "nothing to pay",
         "total", "zero address" or "transfer".
    @param interval Any settled interval.
    @param leaf The caller's balance under the root of that interval.
    @param proof Its way to the root.
    @param to Who is paid.
    @return Token units paid.
    """
    assert leaf.account == msg.sender, "account"
    self._check_proof(interval, leaf, proof)
    after: uint256 = convert(leaf.claimable, uint256)
    return self._claim(leaf, to, after, 0, interval == self._last_interval())


@external
def claim_for(
    order: Claim,
    interval: uint64,
    leaf: sum_tree.Leaf,
    proof: sum_tree.Proof,
    signature: Bytes[eip712.ACCOUNT_SIGNATURE_BYTES_MAX],
) -> uint256:
    """
    @notice Claim for an account that signed for it, with its key or as a contract (ERC-1271).
    @dev Any sender, who gets the fee out of what is paid. A signature pays up to `cumulative`, all
         payments together, so it cannot serve for what is granted later; it pays all of that in one
         call, so the fee is due once.
         Reverts as `claim` does, and with "cumulative" when the balance grants less, with
         "deadline", "fee", or a reason of the signature check.
    @param order What the account signed.
    @param interval Any settled interval.
    @param leaf The account's balance under the root of that interval.
    @param proof Its way to the root.
    @param signature Of the account.
    @return Token units paid, the fee included.
    """
    self._check_order(order, leaf.account, signature)
    self._check_proof(interval, leaf, proof)
    is_last: bool = interval == self._last_interval()
    after: uint256 = convert(order.cumulative, uint256)
    return self._claim(leaf, order.to, after, convert(order.fee, uint256), is_last)


@external
def leave(leaf: sum_tree.Leaf, proof: sum_tree.Proof, to: address) -> uint256:
    """
    @notice Pay the caller everything that it owns here and was not paid, once exits are open.
    @dev Reverts as `claim` does, and with "exits" before exits are open.
    @param leaf The caller's balance under the last root.
    @param proof Its way to the root.
    @param to Who is paid.
    @return Token units paid.
    """
    assert leaf.account == msg.sender, "account"
    self._check_proof(self._last_interval(), leaf, proof)
    return self._leave(leaf, to, self._owned(leaf), 0)


@external
def leave_for(
    order: Claim,
    leaf: sum_tree.Leaf,
    proof: sum_tree.Proof,
    signature: Bytes[eip712.ACCOUNT_SIGNATURE_BYTES_MAX],
) -> uint256:
    """
    @notice Pay an account that signed for it everything, up to `cumulative`, once exits are open.
    @dev Any sender, who gets the fee. Reverts as `leave` and `claim_for` do.
    @param order What the account signed.
    @param leaf The account's balance under the last root.
    @param proof Its way to the root.
    @param signature Of the account.
    @return Token units paid, the fee included.
    """
    self._check_order(order, leaf.account, signature)
    self._check_proof(self._last_interval(), leaf, proof)
    after: uint256 = convert(order.cumulative, uint256)
    return self._leave(leaf, order.to, after, convert(order.fee, uint256))


@external
def leave_reserved(leaf: sum_tree.Leaf, proof: sum_tree.Proof) -> uint256:
    """
    @notice Pay the insurance fund or the treasury to who was named at deployment, once exits are
            open.
    @dev Any sender. Reverts as `leave` does.
    @param leaf The balance of the fund or of the treasury under the last root.
    @param proof Its way to the root.
    @return Token units paid.
    """
    assert leaf.account == FUND or leaf.account == TREASURY, "account"
    self._check_proof(self._last_interval(), leaf, proof)
    to: address = fund if leaf.account == FUND else treasury
    return self._leave(leaf, to, self._owned(leaf), 0)


@external
def free_seat(
    account: address,
    left: sum_tree.Leaf,
    left_proof: sum_tree.Proof,
    right: sum_tree.Leaf,
    right_proof: sum_tree.Proof,
):
    """
    @notice Free the seat of an account that has no leaf under the last root: one that lost all, or
            was paid the last of it under an older root.
    @dev Any sender. Reverts with "seat" when the account has none, with "deposit" when a deposit of
         it may bring a leaf, with "neighbours" when the leaves are not those between which the
         account would stand, or with "no root", a reason of the proof, or "proof".
    @param account Whose seat.
    @param left The last leaf before the account; the first of all leaves when none is before it.
    @param left_proof Its way to the root.
    @param right The leaf after `left`; any when `left` is the first leaf and after the account, or
           the last leaf.
    @param right_proof Its way to the root.
    """
    word: uint256 = self.accounts[account]
    place: uint256 = self.place_word
    assert word >> 208 != 0, "seat"
    assert (word >> 128) & MASK_48 <= (place >> 128) & MASK_48, "deposit"
    name: uint160 = convert(account, uint160)
    self._check_proof(self._last_interval(), left, left_proof)
    if convert(left.account, uint160) > name:
        assert left_proof.index == 0, "neighbours"
    else:
        assert left.account != account, "neighbours"
        if left_proof.index + 1 != left_proof.count:
            self._check_proof(self._last_interval(), right, right_proof)
            assert right_proof.index == left_proof.index + 1, "neighbours"
            assert convert(right.account, uint160) > name, "neighbours"
    self.place_word = place - (1 << 176)
    self.accounts[account] = word & MASK_128


@external
def rescue(strange: IERC20) -> uint256:
    """
    @notice Send tokens that are not the collateral to who was named at deployment.
    @dev Any sender. A second contract that moves the collateral too is no other token.
         Reverts with "collateral" or "transfer".
    @param strange Another ERC-20 token.
    @return Token units sent.
    """
    assert strange.address != token.address, "collateral"
    held: uint256 = staticcall token.balanceOf(self)
    amount: uint256 = staticcall strange.balanceOf(self)
    assert extcall strange.transfer(rescuer, amount, default_return_value=True), "transfer"
    assert staticcall token.balanceOf(self) == held, "collateral"
    log Rescued(token=strange.address, amount=amount)
    return amount


@external
@view
def deposit_of(number: uint64) -> (address, uint256):
    """
    @notice A deposit that was not returned.
    @param number Its number.
    @return Whose it is, and token units; zeros for no such deposit.
    """
    entry: uint256 = self.deposits[number]
    return convert(entry & MASK_160, address), entry >> 160


@external
@view
def paid_to(account: address) -> uint256:
    """
    @notice All that an account was paid under any root.
    @param account Whose.
    @return Token units, as they were granted; of a token that lost balances less has moved.
    """
    return self.accounts[account] & MASK_128


@external
@view
def totals() -> (uint64, uint256, uint256, uint256, uint256, uint256):
    """
    @notice What the vault owes.
    @return Last settled interval; exit values and grants under its root; paid to all accounts;
            deposits that it counts; deposits that it does not count.
    """
    return (
        convert((self.place_word >> 64) & MASK_64, uint64),
        self.totals_word >> 128,
        self.totals_word & MASK_128,
        self.paid_word & MASK_128,
        self.counted_word & MASK_128,
        self._unsettled(),
    )


@external
@view
def seated() -> uint256:
    """
    @notice How many accounts have, or may still get, a leaf.
    @return Accounts; the vault refuses new ones from `accounts_max` on.
    """
    return self.place_word >> 176


@internal
def _receive(amount: uint256):
    """
    @notice Take tokens from the caller and check that exactly the amount arrived.
    @dev Reverts with "transfer" or "amount received".
    @param amount Token units.
    """
    before: uint256 = staticcall token.balanceOf(self)
    assert extcall token.transferFrom(
        msg.sender, self, amount, default_return_value=True
    ), "transfer"
    assert staticcall token.balanceOf(self) == before + amount, "amount received"


@internal
def _credit(account: address, amount: uint256) -> uint64:
    """
    @notice Record a deposit that has arrived.
    @dev Reverts with "reserved account", "deposit amount", "accounts" or "winding down".
    @param account Whose claim it becomes.
    @param amount Token units.
    @return The deposit's number.
    """
    self._check_account(account)
    assert amount >= deposit_min and amount <= DEPOSIT_MAX, "deposit amount"
    number: uint64 = self._report(KIND_DEPOSIT, account, amount, 0)
    self.deposits[number] = (amount << 160) | convert(account, uint256)
    word: uint256 = self.accounts[account]
    if word >> 208 == 0:
        assert self.place_word >> 176 < accounts_max, "accounts"
        self.place_word += 1 << 176
        word |= 1 << 208
    word = (word & ~(MASK_48 << 128)) | (convert(number, uint256) << 128)
    self.accounts[account] = word + (1 << 176)
    log Deposited(account=account, payer=msg.sender, number=number, amount=amount)
    return number


@internal
def _take_back(account: address, number: uint64, to: address, fee: uint256) -> uint256:
    """
    @notice Return a deposit that no settlement counts.
    @dev Reverts with "deposit", "account", "settled", "too early", "batch open", "fee", "zero
         address" or "transfer".
    @param account Whose deposit.
    @param number Its number.
    @param to Who is paid.
    @param fee Token units of the payment that go to the caller.
    @return Token units paid, the fee included.
    """
    entry: uint256 = self._own_deposit(account, number)
    amount: uint256 = entry >> 160
    if not staticcall settlement.is_declared():
        since: uint256 = self.noticed_at[number]
        assert since != 0 and block.timestamp >= since + NOTICE_PERIOD, "too early"
        assert number > staticcall settlement.flows_of_open_batch(), "batch open"
    unsettled: uint256 = self._unsettled()
    self.deposits[number] = 0
    self._report(KIND_RETURN, account, amount, number)
    self._leave_after_return(account)
    paid: uint256 = amount * min(staticcall token.balanceOf(self), unsettled) // unsettled
    self._pay_less_fee(to, paid, fee)
    log Returned(account=account, to=to, number=number, amount=amount, paid=paid, fee=fee)
    return paid


@internal
def _report(kind: uint256, account: address, amount: uint256, number: uint64) -> uint64:
    """
    @notice Append to the chain of flows, and keep what deposits were at the last commitment.
    @dev Reverts with "winding down".
    @param kind As in `Settlement.report`.
    @param account Whose.
    @param amount Token units.
    @param number The deposit's number for a notice or a return, else 0.
    @return The flow's index.
    """
    index: uint64 = 0
    committed: uint64 = 0
    index, committed = extcall settlement.report(kind, account, amount, number)
    if kind == KIND_REQUEST or kind == KIND_NOTICE:
        return index
    place: uint256 = self.place_word
    paid: uint256 = self.paid_word
    if place & MASK_64 != convert(committed, uint256):
        self.counted_word = (self.counted_word & MASK_128) | ((paid >> 128) << 128)
        self.place_word = (place & ~MASK_64) | convert(committed, uint256)
    if kind == KIND_DEPOSIT:
        self.paid_word = paid + (amount << 128)
    else:
        self.paid_word = paid - (amount << 128)
    return index


@internal
@view
def _unsettled() -> uint256:
    """
    @notice Deposits that the last settlement does not count, less returns.
    @return Token units; no root can pay from them.
    """
    return self.paid_word >> 128


@internal
@view
def _own_deposit(account: address, number: uint64) -> uint256:
    """
    @notice A deposit of an account that no settlement counts.
    @dev Reverts with "deposit", "account" or "settled".
    @param account Whose it has to be.
    @param number Its number.
    @return account + amount * 2**160.
    """
    entry: uint256 = self.deposits[number]
    assert entry != 0, "deposit"
    assert convert(entry & MASK_160, address) == account, "account"
    assert convert(number, uint256) > (self.place_word >> 128) & MASK_48, "settled"
    return entry


@internal
@pure
def _check_account(account: address):
    """
    @notice Check that an address can be a client's account.
    @dev Reverts with "reserved account".
    @param account The address.
    """
    assert convert(account, uint160) >= RESERVED, "reserved account"


@internal
@view
def _last_interval() -> uint64:
    """
    @notice The interval that was settled last.
    @return The interval; that of the closing settlement after it.
    """
    return convert((self.place_word >> 64) & MASK_64, uint64)


@internal
@view
def _check_proof(interval: uint64, leaf: sum_tree.Leaf, proof: sum_tree.Proof):
    """
    @notice Check that a balance stands under the root of an interval.
    @dev Reverts with "no root", a reason of the proof, or "proof".
    @param interval Any settled interval.
    @param leaf The balance.
    @param proof Its way to the root.
    """
    root: bytes32 = self.roots[interval]
    assert root != empty(bytes32), "no root"
    assert sum_tree._root_of(leaf, proof) == root, "proof"


@internal
@view
def _check_order(
    order: Claim, account: address, signature: Bytes[eip712.ACCOUNT_SIGNATURE_BYTES_MAX]
):
    """
    @notice Check that an account signed an order to be paid.
    @dev Reverts with "account", "deadline", or a reason of the signature check.
    @param order What it should have signed.
    @param account Whose balance is to be paid.
    @param signature Of the account.
    """
    assert account == order.account, "account"
    struct_hash: bytes32 = keccak256(
        abi_encode(
            CLAIM_TYPE_HASH,
            order.account,
            self,
            order.to,
            order.cumulative,
            order.fee,
            order.deadline,
        )
    )
    self._check_signed(struct_hash, order.account, order.deadline, signature)


@internal
@view
def _check_signed(
    struct_hash: bytes32,
    account: address,
    deadline: uint64,
    signature: Bytes[eip712.ACCOUNT_SIGNATURE_BYTES_MAX],
):
    """
    @notice Check that an account signed an order that still holds.
    @dev Reverts with "deadline", or a reason of the signature check.
    @param struct_hash EIP-712 hash of the order.
    @param account Whose signature it has to be.
    @param deadline Until when the order holds, in seconds.
    @param signature Of the account.
    """
    assert block.timestamp <= convert(deadline, uint256), "deadline"
    eip712._check_account(account, eip712._digest(struct_hash, settlement.address), signature)


@internal
def _claim(
    leaf: sum_tree.Leaf, to: address, after: uint256, fee: uint256, is_last: bool
) -> uint256:
    """
    @notice Pay what a leaf grants and was not paid yet.
    @dev Reverts with "cumulative" when the leaf grants less, "nothing to pay", "total", "fee",
         "zero address" or "transfer".
    @param leaf The balance, which was proven.
    @param to Who is paid.
    @param after Token units that the account will have been paid, all payments together.
    @param fee Token units of the payment that go to the caller.
    @param is_last Whether the balance is that under the last root.
    @return Token units paid, the fee included.
    """
    assert after <= convert(leaf.claimable, uint256), "cumulative"
    totals: uint256 = self.totals_word
    paid: uint256 = self.paid_word
    owed: uint256 = (totals >> 128) + (totals & MASK_128) - (paid & MASK_128)
    available: uint256 = min(self._held_for_balances(paid), owed)
    amount: uint256 = self._count(leaf, after, totals & MASK_128, is_last)
    share: uint256 = amount * available // owed
    self._pay_out(leaf.account, to, after, share, fee)
    return share


@internal
def _leave(leaf: sum_tree.Leaf, to: address, after: uint256, fee: uint256) -> uint256:
    """
    @notice Pay what a leaf under the last root owns and was not paid yet.
    @dev What is here beyond all balances, rounding and stray tokens, is shared.
         Reverts with "exits", "cumulative" when the leaf owns less, "nothing to pay", "total",
         "fee", "zero address" or "transfer".
    @param leaf The balance, which was proven.
    @param to Who is paid.
    @param after Token units that the account will have been paid, all payments together.
    @param fee Token units of the payment that go to the caller.
    @return Token units paid, the fee included.
    """
    assert staticcall settlement.exits_open(), "exits"
    assert after <= self._owned(leaf), "cumulative"
    totals: uint256 = self.totals_word
    paid: uint256 = self.paid_word
    everything: uint256 = (totals >> 128) + (totals & MASK_128)
    owed: uint256 = everything - (paid & MASK_128)
    available: uint256 = self._held_for_balances(paid)
    amount: uint256 = self._count(leaf, after, everything, False)
    share: uint256 = amount * available // owed
    self._pay_out(leaf.account, to, after, share, fee)
    return share


@internal
@pure
def _owned(leaf: sum_tree.Leaf) -> uint256:
    """
    @notice All that an account owns and was ever granted.
    @param leaf Its balance.
    @return Token units, those included that were paid.
    """
    return convert(leaf.exit_value, uint256) + convert(leaf.claimable, uint256)


@internal
@view
def _held_for_balances(paid: uint256) -> uint256:
    """
    @notice What is here for the balances of the last root.
    @param paid The paid word.
    @return Token units, less deposits that no settlement counts.
    """
    held: uint256 = staticcall token.balanceOf(self)
    return held - min(held, paid >> 128)


@internal
def _count(leaf: sum_tree.Leaf, after: uint256, limit: uint256, is_last: bool) -> uint256:
    """
    @notice Record that an account is paid up to an amount.
    @dev Reverts with "nothing to pay", and with "total" when all payments exceed their limit.
         It frees the seat of an account that owns nothing any more under the last root, unless a
         deposit of it may be in the next one.
    @param leaf The account's balance.
    @param after All that it will have been paid.
    @param limit All that may have been paid to all accounts.
    @param is_last Whether the balance is that under the last root.
    @return Token units to pay now, before a loss of the token.
    """
    word: uint256 = self.accounts[leaf.account]
    before: uint256 = word & MASK_128
    assert after > before, "nothing to pay"
    amount: uint256 = after - before
    paid: uint256 = self.paid_word
    assert (paid & MASK_128) + amount <= limit, "total"
    self.paid_word = paid + amount
    word += amount
    if is_last and leaf.exit_value == 0 and after == convert(leaf.claimable, uint256):
        place: uint256 = self.place_word
        if (word >> 128) & MASK_48 <= (place >> 128) & MASK_48 and word >> 208 != 0:
            self.place_word = place - (1 << 176)
            word = word & MASK_128
    self.accounts[leaf.account] = word
    return amount


@internal
def _pay_out(account: address, to: address, after: uint256, share: uint256, fee: uint256):
    """
    @notice Move what an account is paid.
    @dev Reverts with "fee", "zero address" or "transfer".
    @param account Whose balance it is.
    @param to Who is paid.
    @param after All that the account will have been paid.
    @param share Token units to pay now.
    @param fee Token units of it that go to the caller.
    """
    self._pay_less_fee(to, share, fee)
    log Claimed(account=account, to=to, cumulative=after, paid=share, fee=fee)


@internal
def _pay_less_fee(to: address, share: uint256, fee: uint256):
    """
    @notice Move collateral out, of which the caller gets a fee.
    @dev Reverts with "fee", "zero address" or "transfer".
    @param to Who is paid.
    @param share Token units, the fee included.
    @param fee Token units that go to the caller.
    """
    assert fee <= share, "fee"
    if fee != 0:
        self._pay(msg.sender, fee)
    self._pay(to, share - fee)


@internal
def _leave_after_return(account: address):
    """
    @notice Free the seat of an account all deposits of which were returned.
    @param account Whose deposit was returned just now.
    """
    word: uint256 = self.accounts[account] - (1 << 176)
    if (word >> 176) & MASK_32 == 0:
        self.place_word -= 1 << 176
        word = word & MASK_128
    self.accounts[account] = word


@internal
def _pay(to: address, amount: uint256):
    """
    @notice Move collateral out.
    @dev Reverts with "zero address" or "transfer".
    @param to Who gets it.
    @param amount Token units.
    """
    assert to != empty(address), "zero address"
    assert extcall token.transfer(to, amount, default_return_value=True), "transfer"
