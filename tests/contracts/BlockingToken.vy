# pragma version 0.4.3
# pragma evm-version cancun
# SPDX-License-Identifier: Apache-2.0
"""
@title Blocking token
@notice A token that refuses to move to or from the accounts on its list.
"""

balanceOf: public(HashMap[address, uint256])
is_blocked: HashMap[address, bool]


@external
def mint(account: address, amount: uint256):
    self.balanceOf[account] += amount


@external
def approve(spender: address, amount: uint256) -> bool:
    return True


@external
def block(account: address):
    self.is_blocked[account] = True


@external
def transfer(receiver: address, amount: uint256) -> bool:
    self._move(msg.sender, receiver, amount)
    return True


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    self._move(owner, receiver, amount)
    return True


@internal
def _move(owner: address, receiver: address, amount: uint256):
    assert not self.is_blocked[owner] and not self.is_blocked[receiver], "blocked"
    self.balanceOf[owner] -= amount
    self.balanceOf[receiver] += amount
