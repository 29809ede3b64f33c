# pragma version 0.4.3
# pragma evm-version cancun
# SPDX-License-Identifier: Apache-2.0
"""
@title Refusing token
@notice A token that answers false where others revert, and does nothing then.
"""

decimals: public(constant(uint8)) = 6
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
approves: public(bool)


@external
def mint(account: address, amount: uint256):
    self.balanceOf[account] += amount


@external
def set_approves(approves: bool):
    self.approves = approves


@external
def approve(spender: address, amount: uint256) -> bool:
    if not self.approves:
        return False
    self.allowance[msg.sender][spender] = amount
    return True


@external
def transfer(receiver: address, amount: uint256) -> bool:
    return self._move(msg.sender, receiver, amount)


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    return self._move(owner, receiver, amount)


@internal
def _move(owner: address, receiver: address, amount: uint256) -> bool:
    if self.balanceOf[owner] < amount:
        return False
    self.balanceOf[owner] -= amount
    self.balanceOf[receiver] += amount
    return True
