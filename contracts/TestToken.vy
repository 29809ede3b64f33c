# pragma version 0.4.3
# pragma evm-version cancun
# SPDX-License-Identifier: Apache-2.0
"""
@title Test token
@license Apache-2.0
@notice An ERC-20 token that anybody can mint: for tests and demonstrations, worth nothing.
@dev Six decimals, so that one token unit is one cash unit of the engine. Moving more than there is
     reverts by arithmetic underflow.
"""

from ethereum.ercs import IERC20

implements: IERC20


event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    value: uint256


event Approval:
    owner: indexed(address)
    spender: indexed(address)
    value: uint256


name: public(constant(String[32])) = "Worthless darkpool test token"
symbol: public(constant(String[8])) = "TEST"
decimals: public(constant(uint8)) = 6

totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@external
def mint(account: address, amount: uint256):
    """
    @notice Make tokens out of nothing, for anybody.
    @dev Reverts with "zero address".
    @param account Who gets them.
    @param amount Token units.
    """
    assert account != empty(address), "zero address"
    self.totalSupply += amount
    self.balanceOf[account] += amount
    log Transfer(sender=empty(address), receiver=account, value=amount)


@external
def transfer(receiver: address, amount: uint256) -> bool:
    """
    @notice Move the caller's tokens.
    @dev Reverts with "zero address", or when the caller has less.
    @param receiver Who gets them.
    @param amount Token units.
    @return Always true.
    """
    self._transfer(msg.sender, receiver, amount)
    return True


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    """
    @notice Move tokens that their owner has approved to the caller.
    @dev Reverts with "zero address", or when the owner has or approved less.
    @param owner Whose tokens.
    @param receiver Who gets them.
    @param amount Token units.
    @return Always true.
    """
    self.allowance[owner][msg.sender] -= amount
    self._transfer(owner, receiver, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Let somebody move up to an amount of the caller's tokens.
    @param spender Who may move them.
    @param amount Token units; it replaces what was approved before.
    @return Always true.
    """
    self.allowance[msg.sender][spender] = amount
    log Approval(owner=msg.sender, spender=spender, value=amount)
    return True


@internal
def _transfer(owner: address, receiver: address, amount: uint256):
    """
    @notice Move tokens.
    @dev Reverts with "zero address", or when the owner has less.
    @param owner Whose tokens.
    @param receiver Who gets them.
    @param amount Token units.
    """
    assert receiver != empty(address), "zero address"
    self.balanceOf[owner] -= amount
    self.balanceOf[receiver] += amount
    log Transfer(sender=owner, receiver=receiver, value=amount)
