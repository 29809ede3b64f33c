"""Orders that an account signs so that another sender gets it paid for a fee, and their carrying.

An order to claim is good for all that is owed up to an amount, all payments together, and so never
for what is granted later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from crypto.errors import InvalidSignature
from crypto.signing.ecdsa import verify_signature
from crypto.signing.eip712 import TypedMessage
from crypto.signing.settling import Claim, TakeBack
from darkpool.canonical_json import Bound, from_json
from darkpool.chain.calls import VaultCalls
from darkpool.chain.evidence import Deployment
from darkpool.chain.reading import ReadableChain
from darkpool.client.errors import InvalidOrders, NothingToCarry
from darkpool.client.leaving import VaultBalance
from darkpool.client.leaving_steps import Moment, Step, StepKind, Wishes, steps_of
from darkpool.errors import InvalidAccount, MalformedRecord
from darkpool.units import AccountId, account_bytes, account_id

ORDERS_VERSION: Final = 1
SIGNATURE_BYTES_MAX: Final = 2048
"""Of an account that is a contract; that of a key has 65."""

Amount = Annotated[int, Bound((1 << 128) - 1)]
Sign = Callable[[bytes], bytes]
"""Signs 32 bytes as the account."""


@dataclass(frozen=True, slots=True)
class SignedClaim:
    """An order to pay up to `cumulative`, all payments together; `deadline` in Unix seconds."""

    vault: AccountId
    to: AccountId
    cumulative: Amount
    fee: Amount
    deadline: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedReturn:
    """An order to take deposit `number` back; `deadline` in Unix seconds."""

    vault: AccountId
    to: AccountId
    number: int
    fee: Amount
    deadline: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedOrders:
    """The file of an account's orders at one venue."""

    version: int
    chain_id: int
    settlement: AccountId
    account: AccountId
    claims: tuple[SignedClaim, ...]
    returns: tuple[SignedReturn, ...]


@dataclass(frozen=True, slots=True)
class RelayTerms:
    """What a sender gets out of each payment, in token units, and until when it may send."""

    to: AccountId
    fee: int
    deadline: int


def sign_orders(
    deployment: Deployment,
    moment: Moment,
    account: AccountId,
    balances: Sequence[VaultBalance],
    terms: RelayTerms,
    sign: Sign,
) -> SignedOrders:
    """Orders for all payments that are due, signed as the account.

    Raises:
        NothingToCarry: none is due that is above the fee.
    """
    due = [step for step in steps_of(moment, balances, Wishes(terms.to)) if step.due]
    paid = {balance.vault.address: balance.paid for balance in balances}
    domain, owner, to = deployment.domain(), account_bytes(account), account_bytes(terms.to)
    claims, returns = [], []
    for step in due:
        if step.vault is None or step.amount <= terms.fee:
            continue
        place, shared = account_bytes(step.vault), (terms.fee, terms.deadline)
        if step.kind in (StepKind.CLAIM, StepKind.LEAVE):
            until = paid[step.vault] + step.amount
            signature = sign(Claim(owner, place, to, until, *shared).digest(domain))
            claims.append(SignedClaim(step.vault, terms.to, until, *shared, signature))
        elif step.kind is StepKind.TAKE_BACK:
            number = step.number
            signature = sign(TakeBack(owner, place, to, number, *shared).digest(domain))
            returns.append(SignedReturn(step.vault, terms.to, number, *shared, signature))
    if not claims and not returns:
        raise NothingToCarry(f"account {account}", f"a payment above {terms.fee} that is due", 0)
    settlement = deployment.settlement
    orders = tuple(claims), tuple(returns)
    return SignedOrders(ORDERS_VERSION, deployment.chain_id, settlement, account, *orders)


def read_orders(source: str, data: bytes) -> SignedOrders:
    """The orders of a file; `source` is its name in errors.

    Raises:
        InvalidOrders: it has another form or version, or an address that is none.
    """
    try:
        orders = from_json(data, SignedOrders, source)
        for address in _addresses(orders):
            if account_id(address) != address:
                raise InvalidOrders(f"{source}, addresses", account_id(address), address)
    except MalformedRecord as error:
        raise InvalidOrders(error.subject, error.expected, error.got) from error
    except InvalidAccount as error:
        raise InvalidOrders(f"{source}, addresses", error.expected, error.got) from error
    if orders.version != ORDERS_VERSION:
        raise InvalidOrders(source, f"version {ORDERS_VERSION}", orders.version)
    return orders


def carried(
    chain: ReadableChain, orders: SignedOrders, moment: Moment, balances: Sequence[VaultBalance]
) -> tuple[Step, ...]:
    """What a sender sends for signed orders, checked before anything is sent.

    Raises:
        InvalidOrders: orders of another chain or contract, past their time, or with a signature of
            another account.
        NothingToCarry: nothing would be paid.
    """
    deployment = chain.deployment
    got = (orders.chain_id, orders.settlement)
    if got != (deployment.chain_id, deployment.settlement):
        expected = f"chain {deployment.chain_id}, contract {deployment.settlement}"
        raise InvalidOrders("orders", expected, f"chain {got[0]}, contract {got[1]}")
    by_vault = {balance.vault.address: balance for balance in balances}
    for order in _both(orders):
        if order.vault not in by_vault:
            raise InvalidOrders("vault of an order", " or ".join(by_vault), order.vault)
        if order.deadline < moment.now:
            raise InvalidOrders("deadline of an order", f"{moment.now} or later", order.deadline)
    is_contract = bool(chain.code_of(orders.account))
    steps = [
        *_claims(orders, moment, by_vault, chain, is_contract),
        *_returns(orders, moment, by_vault, chain, is_contract),
    ]
    if not steps:
        raise NothingToCarry(f"account {orders.account}", "a payment that is due", "none")
    return tuple(steps)


def _claims(
    orders: SignedOrders,
    moment: Moment,
    by_vault: dict[AccountId, VaultBalance],
    chain: ReadableChain,
    is_contract: bool,
) -> Iterator[Step]:
    for order in orders.claims:
        balance, calls = by_vault[order.vault], VaultCalls(order.vault)
        owner, vault, to = map(account_bytes, (orders.account, order.vault, order.to))
        message = Claim(owner, vault, to, order.cumulative, order.fee, order.deadline)
        _require_signed(chain, orders, message, order.signature, is_contract)
        leaf = balance.proven
        amount = order.cumulative - balance.paid
        owed = balance.everything if moment.exits_open else balance.claimable
        if leaf is None or not max(1, order.fee) <= amount <= owed:
            continue
        if moment.exits_open:
            kind, call = StepKind.LEAVE, calls.leave_for(message, order.signature, leaf)
        else:
            kind, call = StepKind.CLAIM, calls.claim_for(message, order.signature, leaf)
        yield Step(kind, order.vault, amount, 0, True, f"fee {order.fee}", call)


def _returns(
    orders: SignedOrders,
    moment: Moment,
    by_vault: dict[AccountId, VaultBalance],
    chain: ReadableChain,
    is_contract: bool,
) -> Iterator[Step]:
    for order in orders.returns:
        owner, vault, to = map(account_bytes, (orders.account, order.vault, order.to))
        message = TakeBack(owner, vault, to, order.number, order.fee, order.deadline)
        _require_signed(chain, orders, message, order.signature, is_contract)
        due = steps_of(moment, [by_vault[order.vault]], Wishes(order.to))
        for step in due:
            if step.kind is StepKind.TAKE_BACK and step.due and step.number == order.number:
                call = VaultCalls(order.vault).take_back_for(message, order.signature)
                told = f"fee {order.fee}"
                yield Step(step.kind, order.vault, step.amount, order.number, True, told, call)


def _require_signed(
    chain: ReadableChain,
    orders: SignedOrders,
    message: TypedMessage,
    signature: bytes,
    is_contract: bool,
) -> None:
    """A key's signature is checked here; one of a contract by that contract (ERC-1271)."""
    if len(signature) > SIGNATURE_BYTES_MAX:
        raise InvalidOrders("signature", f"at most {SIGNATURE_BYTES_MAX} bytes", len(signature))
    if is_contract:
        return
    digest = message.digest(chain.deployment.domain())
    try:
        verify_signature(digest, signature, account_bytes(orders.account))
    except InvalidSignature as error:
        raise InvalidOrders(f"signature, {error.subject}", error.expected, error.got) from error


def _both(orders: SignedOrders) -> tuple[SignedClaim | SignedReturn, ...]:
    return (*orders.claims, *orders.returns)


def _addresses(orders: SignedOrders) -> Iterator[AccountId]:
    yield from (orders.settlement, orders.account)
    for order in _both(orders):
        yield from (order.vault, order.to)
