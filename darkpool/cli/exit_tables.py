"""What `darkpool exit` shows."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from crypto.errors import hexadecimal
from darkpool.chain.clocks import declarable_from, exits_from
from darkpool.cli.sheets import Column, Sheet, show
from darkpool.cli.tables import print_lines
from darkpool.client.leaving import VaultBalance
from darkpool.client.leaving_steps import Step, StepKind, utc
from darkpool.client.look import ExitLook, Sent

NAME, WORD, NUMBER = Column.NAME, Column.WORD, Column.NUMBER


def exit_document(look: ExitLook, sent: Sequence[Sent]) -> dict[str, object]:
    """What `darkpool exit --json` prints."""
    standing = look.moment.standing
    return {
        "chain_id": look.deployment.chain_id,
        "settlement": look.deployment.settlement,
        "account": look.account,
        "interval": look.interval,
        "time": look.moment.now,
        "ended": look.moment.has_ended,
        "end_can_be_declared_from": declarable_from(standing),
        "exits_open_from": exits_from(standing),
        "exits_open": look.moment.exits_open,
        "vaults": [_vault_document(balance) for balance in look.balances],
        "steps": [_step_document(step) for step in look.steps],
        "sent": [
            {
                "step": one.step.kind.value,
                "vault": one.step.vault,
                "amount": one.step.amount,
                "deposit": one.step.number or None,
                "transaction": hexadecimal(one.receipt.hash),
                "block": one.receipt.block,
            }
            for one in sent
        ],
    }


def print_exit(
    console: Console, look: ExitLook, sent: Sequence[Sent], *, shows_calls: bool
) -> None:
    """What the account has, what each step waits for, and what was sent or has to be."""
    standing = look.moment.standing
    since = declarable_from(standing)
    opens = exits_from(standing)
    lines = {
        "account": look.account,
        "settlement": look.deployment.settlement,
        "last interval": "none settled" if look.interval is None else str(look.interval),
        "time": utc(look.moment.now),
        "end": f"can be declared from {utc(since)}" if since is not None else "declared",
    }
    if opens is not None:
        lines["exits"] = "open" if look.moment.exits_open else f"open from {utc(opens)}"
    print_lines(console, lines)
    show(console, _vaults(look))
    if any(balance.deposits for balance in look.balances):
        show(console, _deposits(look))
    show(console, _steps(look.steps))
    if sent:
        show(console, _sent(sent))
    due = [step for step in look.steps if step.due]
    if shows_calls and due:
        console.print("To be sent by the account, in this order:")
        for step in due:
            lines = {
                "step": step.kind.value,
                "contract": step.call.contract,
                "data": hexadecimal(step.call.data()),
            }
            print_lines(console, lines)


def _vaults(look: ExitLook) -> Sheet:
    columns = {"vault": WORD, "claimable now": NUMBER, "owned in all": NUMBER}
    columns |= {"deposits not counted": NUMBER, "paid so far": NUMBER}
    table = Sheet("Money in token units", columns)
    for one in look.balances:
        waiting = sum(deposit.amount for deposit in one.deposits)
        numbers = (one.claimable, one.everything, waiting, one.paid)
        table.add(one.vault.address, *map(str, numbers))
    return table


def _deposits(look: ExitLook) -> Sheet:
    columns = {"vault": WORD, "deposit": NUMBER, "amount": NUMBER, "notice": WORD}
    table = Sheet("Deposits that no settlement counts", columns)
    for balance in look.balances:
        for one in balance.deposits:
            given = utc(one.noticed_at) if one.noticed_at else "none"
            table.add(balance.vault.address, str(one.index), str(one.amount), given)
    return table


def _steps(steps: Sequence[Step]) -> Sheet:
    columns = {"step": WORD, "vault": WORD, "amount": NUMBER, "due": WORD, "needs": NAME}
    table = Sheet("Steps", columns)
    for step in steps:
        amount = str(step.amount) if step.amount else ""
        table.add(step.kind.value, step.vault or "", amount, _when(step), step.needs)
    return table


def _when(step: Step) -> str:
    asked = step.kind in (StepKind.REQUEST, StepKind.GIVE_NOTICE)
    return "now" if step.due else "if asked" if asked else "later"


def _sent(sent: Sequence[Sent]) -> Sheet:
    columns = {"sent": WORD, "amount": NUMBER, "block": NUMBER, "transaction": WORD}
    table = Sheet("Sent", columns)
    for one in sent:
        amount = str(one.step.amount) if one.step.amount else ""
        where = str(one.receipt.block), hexadecimal(one.receipt.hash)
        table.add(one.step.kind.value, amount, *where)
    return table


def _vault_document(balance: VaultBalance) -> dict[str, object]:
    return {
        "vault": balance.vault.address,
        "token": balance.vault.token,
        "claimable": balance.claimable,
        "everything": balance.everything,
        "paid": balance.paid,
        "deposits": [
            {"number": one.index, "amount": one.amount, "noticed_at": one.noticed_at or None}
            for one in balance.deposits
        ],
    }


def _step_document(step: Step) -> dict[str, object]:
    return {
        "step": step.kind.value,
        "vault": step.vault,
        "amount": step.amount,
        "deposit": step.number or None,
        "due": step.due,
        "needs": step.needs,
        "contract": step.call.contract,
        "data": hexadecimal(step.call.data()),
    }
