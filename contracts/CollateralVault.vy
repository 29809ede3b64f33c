# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
# SPDX-License-Identifier: Apache-2.0
"""
@title Collateral vault
@license Apache-2.0
@notice Holds the collateral of a venue, in one ERC-20 token, and pays by the last settled balances.
@dev Every unit in the vault belongs to exactly one of two kinds of claim.
     Settled: a deposit made before the batch of the last settled interval was committed is counted
     in that interval's balances root, and is paid out with a proof under that root only.
     Unsettled: a deposit made later is in no settled root, and its account can take it back whole,
     without any proof. It turns into the settled kind when a later batch settles.
     So no deposit is ever lost between the two, and none is paid under both. What a root pays never
     touches unsettled deposits, even if the root is wrong.
     Nothing is paid while a batch is open (see Settlement), so the balances root of that batch can
     count on all that was here when it was committed.
     The token must move exactly the amount that it is told to, and must never change balances by
     itself; a deposit of which less or more arrives is refused.
     Revert reasons are short strings; each function names its own.
"""

from ethereum.ercs import IERC20

import merkle


interface ISettlement:
    def vault_terms() -> VaultTerms: view


struct VaultTerms:
    paying: bool
    halted: bool
    committed: uint64
    settled: uint64
    balances_root: bytes32


# Deposits that may not yet be in a settled root. `interval` is the last committed one at the time
# of the last change; `newer` came in after that commitment, `older` before it.
struct Unsettled:
    older: uint256
    newer: uint256
    interval: uint64


# What an account was paid under the balances root of `interval`.
struct Payment:
    interval: uint64
    amount: uint256


event Deposited:
    account: indexed(address)
    payer: indexed(address)
    amount: uint256
    after_interval: uint64


event Withdrawn:
    account: indexed(address)
    amount: uint256
    root_interval: uint64
    after_interval: uint64


event Reclaimed:
    account: indexed(address)
    amount: uint256
    after_interval: uint64


DEPOSITS_MAX: constant(uint256) = 200
DEPTH_MAX: constant(uint256) = 32

# the collateral
token: public(immutable(IERC20))

# where balances are settled
settlement: public(immutable(ISettlement))

# all that was ever paid in for an account, and paid out to it
deposited: public(HashMap[address, uint256])
withdrawn: public(HashMap[address, uint256])

# what was paid under the root that the account last used
payments: public(HashMap[address, Payment])

# unsettled deposits of each account, and of all together
unsettled: HashMap[address, Unsettled]
unsettled_total: Unsettled


@deploy
def __init__(token_: IERC20, settlement_: ISettlement):
    """
    @notice Fix the collateral and the settlement contract.
    @dev Reverts with "no contract" when an address holds no code.
    @param token_ The ERC-20 token that is collateral.
    @param settlement_ The settlement contract whose balances are paid.
    """
    assert token_.address.is_contract and settlement_.address.is_contract, "no contract"
    token = token_
    settlement = settlement_


@external
def deposit(amount: uint256):
    """
    @notice Pay in for the caller, who has approved the amount.
    @dev Reverts with "halted", "zero amount", "transfer" or "amount received".
    @param amount Token units.
    """
    self._receive(amount)
    self._credit(msg.sender, amount, self._taking_terms())


@external
def deposit_for(account: address, amount: uint256):
    """
    @notice Pay in for an account; the caller has approved the amount.
    @dev Reverts as `deposit` does, and with "zero address".
    @param account Whose claim it becomes.
    @param amount Token units.
    """
    self._receive(amount)
    self._credit(account, amount, self._taking_terms())


@external
def deposit_many(
    accounts: DynArray[address, DEPOSITS_MAX], amounts: DynArray[uint256, DEPOSITS_MAX]
):
    """
    @notice Pay in for many accounts with one transfer of the sum, which the caller has approved.
    @dev Reverts as `deposit_for` does, and with "lengths" when the lists differ in length.
    @param accounts Whose claims they become; an account may stand here more than once.
    @param amounts Token units for each.
    """
    assert len(accounts) == len(amounts), "lengths"
    total: uint256 = 0
    for amount: uint256 in amounts:
        total += amount
    self._receive(total)
    terms: VaultTerms = self._taking_terms()
    for i: uint256 in range(len(accounts), bound=DEPOSITS_MAX):
        self._credit(accounts[i], amounts[i], terms)


@external
def withdraw(
    amount: uint256,
    withdrawable: uint256,
    encumbered: uint256,
    positions_root: bytes32,
    index: uint256,
    count: uint256,
    siblings: DynArray[bytes32, DEPTH_MAX],
):
    """
    @notice Pay the caller from its balance under the last settled root.
    @dev Only the account itself can call it, so nobody can pull margin from under somebody else's
         orders. All payments under one root together never exceed `withdrawable`; once settlement
         has ended for ever, they may include `encumbered`.
         Reverts with "paused" while a batch is open, "no root", "leaf index", "proof length",
         "proof", "zero amount", "balance" when more is asked for than is left under this root,
         "unsettled" when the root claims what was deposited after it, or "transfer".
    @param amount Token units to pay now.
    @param withdrawable The caller's free balance under the root.
    @param encumbered The caller's margin of open positions under the root.
    @param positions_root Hash of the caller's positions under the root.
    @param index Place of the caller's leaf.
    @param count Number of leaves under the root.
    @param siblings Hashes beside the path, from the bottom row to the top.
    """
    terms: VaultTerms = self._paying_terms()
    assert terms.settled != 0, "no root"
    leaf: Bytes[128] = abi_encode(msg.sender, withdrawable, encumbered, positions_root)
    assert merkle._root_of(leaf, index, count, siblings) == terms.balances_root, "proof"
    assert amount != 0, "zero amount"
    available: uint256 = withdrawable
    if terms.halted:
        available += encumbered
    paid: uint256 = amount
    if self.payments[msg.sender].interval == terms.settled:
        paid += self.payments[msg.sender].amount
    assert paid <= available, "balance"
    total: Unsettled = self._current(self.unsettled_total, terms)
    held: uint256 = staticcall token.balanceOf(self)
    assert amount + total.older + total.newer <= held, "unsettled"
    self.payments[msg.sender] = Payment(interval=terms.settled, amount=paid)
    self._pay(msg.sender, amount)
    log Withdrawn(
        account=msg.sender,
        amount=amount,
        root_interval=terms.settled,
        after_interval=terms.committed,
    )


@external
def reclaim():
    """
    @notice Give the caller back all its deposits that no settled root counts yet.
    @dev Reverts with "paused" while a batch is open, "zero amount" when there are none, or
         "transfer".
    """
    terms: VaultTerms = self._paying_terms()
    own: Unsettled = self._current(self.unsettled[msg.sender], terms)
    total: Unsettled = self._current(self.unsettled_total, terms)
    amount: uint256 = own.older + own.newer
    assert amount != 0, "zero amount"
    self.unsettled[msg.sender] = Unsettled(older=0, newer=0, interval=terms.committed)
    self.unsettled_total = Unsettled(
        older=total.older - own.older, newer=total.newer - own.newer, interval=terms.committed
    )
    self._pay(msg.sender, amount)
    log Reclaimed(account=msg.sender, amount=amount, after_interval=terms.committed)


@external
@view
def reclaimable(account: address) -> uint256:
    """
    @notice Deposits of an account that no settled root counts yet.
    @param account Whose.
    @return Token units that `reclaim` pays when the vault pays at all.
    """
    own: Unsettled = self._current(
        self.unsettled[account], staticcall settlement.vault_terms()
    )
    return own.older + own.newer


@external
@view
def reclaimable_total() -> uint256:
    """
    @notice Deposits of all accounts that no settled root counts yet.
    @return Token units; no root can pay from them.
    """
    total: Unsettled = self._current(self.unsettled_total, staticcall settlement.vault_terms())
    return total.older + total.newer


@internal
@view
def _taking_terms() -> VaultTerms:
    """
    @notice The terms under which the vault takes deposits.
    @dev Reverts with "halted".
    @return What Settlement says now.
    """
    terms: VaultTerms = staticcall settlement.vault_terms()
    assert not terms.halted, "halted"
    return terms


@internal
@view
def _paying_terms() -> VaultTerms:
    """
    @notice The terms under which the vault pays.
    @dev Reverts with "paused".
    @return What Settlement says now.
    """
    terms: VaultTerms = staticcall settlement.vault_terms()
    assert terms.paying, "paused"
    return terms


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
def _credit(account: address, amount: uint256, terms: VaultTerms):
    """
    @notice Record a deposit that has arrived.
    @dev Reverts with "zero address" or "zero amount".
    @param account Whose claim it becomes.
    @param amount Token units.
    @param terms What Settlement says now.
    """
    assert account != empty(address), "zero address"
    assert amount != 0, "zero amount"
    self.deposited[account] += amount
    own: Unsettled = self._current(self.unsettled[account], terms)
    own.newer += amount
    self.unsettled[account] = own
    total: Unsettled = self._current(self.unsettled_total, terms)
    total.newer += amount
    self.unsettled_total = total
    log Deposited(
        account=account, payer=msg.sender, amount=amount, after_interval=terms.committed
    )


@internal
def _pay(account: address, amount: uint256):
    """
    @notice Record a payment, then make it.
    @dev Reverts with "transfer".
    @param account Who is paid.
    @param amount Token units.
    """
    self.withdrawn[account] += amount
    assert extcall token.transfer(account, amount, default_return_value=True), "transfer"


@internal
@pure
def _current(entry: Unsettled, terms: VaultTerms) -> Unsettled:
    """
    @notice An entry brought up to date with what was committed and settled since its last change.
    @dev `newer` came in after the commitment of `entry.interval` and before the next one, so any
         root of a later interval counts it. `older` came in before the commitment of
         `entry.interval` and after the last batch settled by then, so the root of `entry.interval`
         counts it, or else the next root.
    @param entry The entry as it was stored.
    @param terms What Settlement says now.
    @return The entry as it would have to be stored now.
    """
    older: uint256 = entry.older
    newer: uint256 = entry.newer
    if terms.settled >= entry.interval:
        older = 0
    if terms.settled > entry.interval:
        newer = 0
    if entry.interval == terms.committed:
        return Unsettled(older=older, newer=newer, interval=entry.interval)
    return Unsettled(older=older + newer, newer=0, interval=terms.committed)
