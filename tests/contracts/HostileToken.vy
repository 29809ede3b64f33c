# pragma version 0.4.3
# pragma evm-version cancun
# SPDX-License-Identifier: Apache-2.0
"""
@title Hostile token
@notice A token that misbehaves as a test tells it to: it keeps a fee, answers false, or calls back
        in the middle of a transfer. It can also act as an account of the vault.
"""

balanceOf: public(HashMap[address, uint256])
fee: public(uint256)
answer: public(bool)
target: public(address)
payload: public(Bytes[2048])
called_back: public(bool)
call_back_succeeded: public(bool)


@deploy
def __init__():
    self.answer = True


@external
def mint(account: address, amount: uint256):
    self.balanceOf[account] += amount


@external
def rebase(account: address, balance: uint256):
    self.balanceOf[account] = balance


@external
def approve(spender: address, amount: uint256) -> bool:
    return True


@external
def keep(fee: uint256):
    self.fee = fee


@external
def answer_with(answer: bool):
    self.answer = answer


@external
def arm(target: address, payload: Bytes[2048]):
    self.target = target
    self.payload = payload
    self.called_back = False


@external
def act(target: address, payload: Bytes[2048]):
    raw_call(target, payload)


@external
def transfer(receiver: address, amount: uint256) -> bool:
    self._move(msg.sender, receiver, amount)
    return self.answer


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    self._move(owner, receiver, amount)
    return self.answer


@internal
def _move(owner: address, receiver: address, amount: uint256):
    self.balanceOf[owner] -= amount
    self.balanceOf[receiver] += amount - self.fee
    if self.target != empty(address) and not self.called_back:
        self.called_back = True
        self.call_back_succeeded = raw_call(self.target, self.payload, revert_on_failure=False)
