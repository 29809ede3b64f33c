"""Payments into a vault, of the test token for many accounts and of any ERC-20 token for one.

What a token answers to `approve` is not looked at: some answer nothing, and some answer true and do
not keep to it. What counts is what the vault may take afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from eth_account import Account
from web3.contract import Contract
from web3.types import TxReceipt

from darkpool.chain.asking import NO_REASON, reading
from darkpool.chain.errors import NotApproved, TransactionRefused, TransactionReverted
from darkpool.chain.sending import Sender
from darkpool.units import AccountId

DEPOSITS_PER_TRANSACTION_MAX: Final = 200
"""The bound of the vault's `deposit_many`; so many take about 11 million gas."""


class Depositing:
    """Pays tokens into one vault; `node` is what errors name."""

    def __init__(self, sender: Sender, node: str, token: Contract, vault: Contract) -> None:
        self._sender = sender
        self._node = node
        self._token = token
        self._vault = vault

    def own(self, key: bytes, amount: int) -> TxReceipt:
        """Deposit tokens of the account of a 32-byte key, for itself.

        Raises:
            NotApproved: the token lets the vault take less than that.
            TransactionReverted: token or vault refuse the deposit.
        """
        owner = AccountId(Account.from_key(key).address)
        functions = self._token.functions
        approved = self._approved(owner)
        if approved < amount:
            if approved:  # some tokens change an approval from zero and to zero only
                self._sender.call(functions.approve(self._vault.address, 0), key)
            self._sender.call(functions.approve(self._vault.address, amount), key)
            approved = self._approved(owner)
        if approved < amount:
            raise NotApproved(self._token.address, amount, approved)
        return self._sender.call(self._vault.functions.deposit(owner, amount), key)

    def minted(self, amounts: Mapping[AccountId, int]) -> None:
        """Mint test tokens and deposit them for many accounts.

        Where a block has no room for as many deposits at once as the vault takes, there are fewer
        in a transaction.
        """
        total, functions = sum(amounts.values()), self._token.functions
        self._sender.call(functions.mint(self._sender.account, total))
        self._sender.call(functions.approve(self._vault.address, total))
        rest, size = list(amounts.items()), DEPOSITS_PER_TRANSACTION_MAX
        while part := rest[:size]:
            accounts = [account for account, _ in part]
            sums = [amount for _, amount in part]
            try:
                self._sender.call(self._vault.functions.deposit_many(accounts, sums))
            except (TransactionRefused, TransactionReverted) as error:
                if len(part) == 1 or not _for_want_of_gas(error):
                    raise
                size = len(part) // 2
            else:
                rest = rest[size:]

    def _approved(self, owner: AccountId) -> int:
        with reading(self._node, "what a vault may take"):
            return int(self._token.functions.allowance(owner, self._vault.address).call())


def _for_want_of_gas(error: TransactionRefused | TransactionReverted) -> bool:
    """Whether fewer deposits may do; a contract that refuses a deposit says why in other words."""
    if isinstance(error, TransactionRefused):
        return True
    return error.reason == NO_REASON or "gas" in error.reason
