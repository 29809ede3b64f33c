"""What `darkpool chain` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console

from crypto.errors import hexadecimal
from darkpool.chain.clocks import declarable_from, exits_from, void_from
from darkpool.chain.manifest import Check, Manifest
from darkpool.chain.status import VaultStatus, VenueStatus
from darkpool.cli.sheets import Column, Sheet, show
from darkpool.cli.tables import print_lines
from darkpool.client.leaving_steps import utc
from darkpool.protocol.flows import FlowKind

WORD, NUMBER = Column.WORD, Column.NUMBER


def manifest_lines(manifest: Manifest) -> dict[str, object]:
    """What `darkpool chain deploy` prints."""
    return {
        "chain_id": manifest.chain_id,
        "block": manifest.block,
        "settlement": manifest.settlement.address,
        "vaults": ",".join(vault.address for vault in manifest.vaults),
        "blueprint": manifest.blueprint.address,
        "digest": hexadecimal(manifest.digest),
    }


def checks_document(checks: Sequence[Check]) -> dict[str, object]:
    """What `darkpool chain verify --json` prints."""
    told = [{**asdict(check), "holds": check.ok} for check in checks]
    return {"holds": all(check.ok for check in checks), "checks": told}


def print_checks(console: Console, checks: Sequence[Check]) -> None:
    """One line a check, then the verdict."""
    width = max(len(check.name) for check in checks)
    for check in checks:
        verdict = "[green]holds[/]" if check.ok else "[red]fails[/]"
        told = check.got if check.ok else f"expected {check.expected}, got {check.got}"
        console.print(verdict, end="  ")
        console.print(f"{check.name:<{width}}  {told}", soft_wrap=True, markup=False, emoji=False)
    failed = sum(not check.ok for check in checks)
    if failed:
        console.print(f"[red]The manifest does not hold[/]: {failed} of {len(checks)} differ.")
    else:
        console.print("[green]The manifest holds.[/]")


def status_document(status: VenueStatus) -> dict[str, object]:
    """What `darkpool chain status --json` prints; times in Unix seconds, amounts in token units."""
    standing, deployment = status.standing, status.deployment
    announced, settled = status.next_committee, status.settled
    return {
        "chain_id": deployment.chain_id,
        "settlement": deployment.settlement,
        "time": status.now,
        **asdict(standing),
        "open_batch_until": void_from(standing),
        "settled_in_block": None if settled is None else settled.block,
        "leaves_in": _leaves_in(status),
        "waiting": {kind.name.lower(): status.waiting.get(kind, 0) for kind in FlowKind},
        "end_can_be_declared_from": declarable_from(standing),
        "exits_open_from": exits_from(standing),
        "epoch": deployment.epoch,
        "keypers": list(deployment.keypers),
        "quorum": deployment.quorum,
        "excluded": list(status.excluded),
        "next_committee": None if announced is None else asdict(announced),
        "vaults": [_vault_document(vault) for vault in status.vaults],
    }


def print_status(console: Console, status: VenueStatus) -> None:
    """Where the venue stands, line by line, and what its vaults hold and owe."""
    standing, deployment = status.standing, status.deployment
    waiting = (f"{status.waiting.get(kind, 0)} {kind.name.lower()}s" for kind in FlowKind)
    lines = {
        "settlement": deployment.settlement,
        "time": utc(status.now),
        "last batch": _last_batch(status),
        "last settlement": _last_settlement(status),
        "flows that wait": ", ".join(waiting),
        "oldest request": utc(standing.waiting_since) if standing.waiting_since else "none",
        "end": _end(status),
        "committee": f"epoch {deployment.epoch}, {deployment.quorum} of "
        f"{len(deployment.keypers)} sign",
        "keypers": ",".join(deployment.keypers),
        "excluded": ", ".join(map(str, status.excluded)) or "none",
    }
    following = status.next_committee
    if following is not None:
        told = f"from {utc(following.active_from)}: {','.join(following.keypers)}"
        lines["next committee"] = told
    print_lines(console, lines)
    show(console, _vaults(status.vaults))


def _last_batch(status: VenueStatus) -> str:
    standing, until = status.standing, void_from(status.standing)
    if not standing.committed:
        return "none"
    told = f"interval {standing.committed}, committed at {utc(standing.committed_at)}"
    if until is None:
        return f"{told}, {'void' if standing.must_be_empty else 'settled'}"
    over = "can be voided since" if status.now >= until else "can settle before"
    return f"{told}, open: {over} {utc(until)}"


def _last_settlement(status: VenueStatus) -> str:
    if status.settled is None:
        return f"none; deployed at {utc(status.standing.settled_at)}"
    told = "closing" if status.standing.is_closed else f"interval {status.standing.settled}"
    return f"{told}, block {status.settled.block}, leaves in {_leaves_in(status)}"


def _leaves_in(status: VenueStatus) -> str | None:
    if status.settled is None:
        return None
    return "blobs" if status.settled.leaf_blobs else "events"


def _end(status: VenueStatus) -> str:
    standing = status.standing
    since, opens = declarable_from(standing), exits_from(standing)
    if since is not None:
        can = "can be declared since" if status.now >= since else "can be declared from"
        return f"{can} {utc(since)}, unless a batch settles"
    is_open = standing.is_closed or status.now >= (opens or 0)
    exits = "open" if is_open else f"open at {utc(opens or 0)} or by a settlement"
    return f"declared at {utc(standing.declared_at)}; exits {exits}"


def _vaults(vaults: Sequence[VaultStatus]) -> Sheet:
    columns = {"vault": WORD, "held": NUMBER, "owed": NUMBER, "not counted": NUMBER}
    columns |= {"paid": NUMBER, "accounts": NUMBER}
    table = Sheet("Vaults: amounts in token units", columns)
    for one in vaults:
        numbers = (one.held, one.owed, one.uncounted, one.paid)
        table.add(one.place.address, *map(str, numbers), f"{one.seats} of {one.accounts_max}")
    return table


def _vault_document(vault: VaultStatus) -> dict[str, object]:
    told = asdict(vault)
    place = told.pop("place")
    return {"vault": place["address"], "token": place["token"], **told, "owed": vault.owed}
