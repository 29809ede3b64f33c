"""`darkpool exit`: get everything out of a venue, with a node and a key alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from darkpool.cli.arguments import (
    address,
    chain_key,
    read_octets,
    require_new,
    require_url,
    whole,
    write_new,
)
from darkpool.cli.errors import CHAIN_KEY_VARIABLE, InvalidExit, tell_line
from darkpool.cli.keys import KEY_FILE_VARIABLE, account_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkpool.chain.client import Chain
    from darkpool.chain.reading import ReadableChain
    from darkpool.client.leaving import LeafSource
    from darkpool.client.leaving_steps import Step, Wishes
    from darkpool.client.look import ExitLook, Sent
    from darkpool.client.relaying import SignedOrders
    from darkpool.units import AccountId

ORDERS_FILE_MAX_BYTES: Final = 1 << 17
DAYS_MAX: Final = 365
_DAY_S: Final = 86_400
_ALL: Final = "all"


def leave_venue(
    chain: Annotated[
        str, typer.Option(metavar="URL", show_default=False, help="A node of the venue's chain.")
    ],
    settlement: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            show_default=False,
            help="The venue's settlement contract, known from elsewhere.",
        ),
    ],
    account: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Whose money; without it, that of the key file."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Send what is due, signed with the account's key in FILE. Its passphrase is in "
            f"{KEY_FILE_VARIABLE}, or is asked for.",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Who is paid; without it, the account."),
    ] = None,
    request: Annotated[
        str | None,
        typer.Option(
            metavar="AMOUNT|all",
            help="Ask the next settlement for a withdrawal, in token units.",
        ),
    ] = None,
    notice: Annotated[
        bool,
        typer.Option("--notice", help="Ask for deposits back that no settlement counts yet."),
    ] = False,
    vault: Annotated[str | None, typer.Option(metavar="ADDRESS", help="This vault alone.")] = None,
    leaves: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Leaves of the last settlement from anybody; the chain's hash proves them.",
        ),
    ] = None,
    beacon: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="A beacon node, which has leaves in blobs for some 18 days."
        ),
    ] = None,
    relay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Send nothing: write orders into FILE that another sender can carry.",
        ),
    ] = None,
    fee: Annotated[
        int,
        typer.Option(
            parser=whole,
            metavar="AMOUNT",
            help="What that sender gets out of each payment, in token units.",
        ),
    ] = 0,
    valid_days: Annotated[
        int,
        typer.Option(parser=whole, metavar="DAYS", help="How long these orders can be sent."),
    ] = 7,
    carry: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Send the orders in FILE of another account, signed with the key in "
            f"{CHAIN_KEY_VARIABLE} (64 hexadecimal digits), or by the node.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Get everything out of a venue, with what is on its chain and the account's key alone.

    Shows what the account can take now, what else it owns, and what each step waits for. Without a
    key it prints what any wallet has to send, and asks for nothing secret. With --key-file it
    sends what is due: a request, claims, notices and returns of deposits, the declaration of the
    end, and everything once exits are open. Run it again when the next step is due. No operator and
    no keyper is asked. docs/custody.md says what is paid when.
    """
    from darkpool.chain.client import Chain
    from darkpool.chain.reading import ReadableChain
    from darkpool.cli.exit_tables import exit_document, print_exit
    from darkpool.cli.tables import exact_json, output

    require_url(chain)
    require_url(beacon)
    _require_together(key_file, relay, carry, request, notice, to)
    if relay is not None:
        require_new("--relay", relay)
    place = address("--settlement", settlement)
    orders = None if carry is None else _orders(carry)
    key = None if key_file is None else account_key(key_file)
    owner = _owner(account, key, orders)
    wishes = _wishes(owner, to, request, notice)
    node: ReadableChain
    sender: Chain | None = None
    if orders is not None or (key is not None and relay is None):
        node = sender = Chain.connect(chain, chain_key() if key is None else key)
    else:
        node = ReadableChain.at(chain)
    node.attach_at(place)
    sources = _sources(node, leaves, beacon)
    only = _only(node, vault, wishes)
    _require_recipient(node, wishes.to)

    def look() -> ExitLook:
        return _look(node, owner, sources, wishes, only)

    sent: tuple[Sent, ...] = ()
    if sender is not None and key is not None:
        sent = _send(sender, key, look)
    elif sender is not None and orders is not None:
        sent = _carry(sender, orders, look())
    found = look()
    if relay is not None and key is not None:
        _relay(relay, found, key, (fee, valid_days))
    if as_json:
        typer.echo(exact_json(exit_document(found, sent)))
    else:
        print_exit(output(), found, sent, shows_calls=key is None and orders is None)


def _require_together(
    key_file: Path | None,
    relay: Path | None,
    carry: Path | None,
    request: str | None,
    notice: bool,
    to: str | None,
) -> None:
    if relay is not None and key_file is None:
        raise InvalidExit("--relay", "--key-file, whose key signs", "none")
    if carry is not None and (key_file is not None or to is not None):
        raise InvalidExit("--carry", "neither --key-file nor --to: all is in its file", "one")
    if (carry is not None or relay is not None) and (request is not None or notice):
        expected = "payments alone; a request and a notice are the account's own to send"
        raise InvalidExit("--relay and --carry", expected, "--request or --notice")


def _orders(path: Path) -> SignedOrders:
    from darkpool.client.relaying import read_orders

    return read_orders(str(path), read_octets(path, ORDERS_FILE_MAX_BYTES))


def _owner(account: str | None, key: bytes | None, orders: SignedOrders | None) -> AccountId:
    """Whose money; what says so twice has to say the same."""
    from darkpool.client.signer import KeySigner

    named = None if account is None else address("--account", account)
    signs = None if key is None else KeySigner(key).address
    if orders is not None:
        signs = orders.account
    if named is not None and signs is not None and named != signs:
        raise InvalidExit("--account", signs, named)
    owner = named or signs
    if owner is None:
        raise InvalidExit("--account", "an address, or --key-file", "none")
    return owner


def _wishes(owner: AccountId, to: str | None, request: str | None, notice: bool) -> Wishes:
    from darkpool.client.leaving_steps import ALL, Wishes
    from darkpool.units import within

    amount = None
    if request == _ALL:
        amount = ALL
    elif request is not None:
        amount = within("--request in token units", 1, ALL, whole(request))
    return Wishes(owner if to is None else address("--to", to), amount, notice)


def _only(chain: ReadableChain, vault: str | None, wishes: Wishes) -> AccountId | None:
    """The one vault that counts; None for all of them."""
    from darkpool.client.leaving_steps import ALL

    known = [one.address for one in chain.deployment.vaults]
    if vault is None:
        if wishes.request not in (None, ALL) and len(known) > 1:
            raise InvalidExit("--request", f"--vault, one of {', '.join(known)}", "an amount alone")
        return None
    found = address("--vault", vault)
    if found not in known:
        raise InvalidExit("--vault", " or ".join(known), found)
    return found


def _require_recipient(chain: ReadableChain, to: AccountId) -> None:
    """What a venue's own contracts are paid, or the zero address, is nobody's any more."""
    from darkpool.units import ADDRESS_BYTES, account_of

    deployment = chain.deployment
    lost = {account_of(bytes(ADDRESS_BYTES)), deployment.settlement}
    for place in deployment.vaults:
        lost |= {place.address, place.token}
    if to in lost:
        raise InvalidExit("--to", "neither zero nor a contract of the venue or its tokens", to)


def _sources(chain: ReadableChain, leaves: Path | None, beacon: str | None) -> list[LeafSource]:
    from darkpool.chain.beacon import BeaconNode
    from darkpool.client.leaf_sources import LEAVES_BYTES_MAX, from_beacon, from_bytes

    sources = []
    if leaves is not None:
        sources.append(from_bytes(str(leaves), read_octets(leaves, LEAVES_BYTES_MAX)))
    if beacon is not None:
        sources.append(from_beacon(chain, BeaconNode(beacon)))
    return sources


def _look(
    chain: ReadableChain,
    owner: AccountId,
    sources: list[LeafSource],
    wishes: Wishes,
    only: AccountId | None,
) -> ExitLook:
    from darkpool.cli.tables import progress
    from darkpool.client.look import look_at

    with progress() as shown:
        shown("Rebuild balances and proofs", 0, 0)
        return look_at(chain, owner, sources, wishes, only)


def _send(chain: Chain, key: bytes, look: Callable[[], ExitLook]) -> tuple[Sent, ...]:
    from darkpool.client.look import send_due

    return send_due(chain, key, look, _tell)


def _carry(chain: Chain, orders: SignedOrders, look: ExitLook) -> tuple[Sent, ...]:
    from darkpool.client.look import Sent
    from darkpool.client.relaying import carried

    sent = []
    for step in carried(chain, orders, look.moment, look.balances):
        _tell(step)
        sent.append(Sent(step, chain.send(step.call)))
    return tuple(sent)


def _tell(step: Step) -> None:
    """What is sent now: should a later step fail, this has been told."""
    tell_line(f"Send {step.kind.value} {step.amount or ''}".rstrip())


def _relay(path: Path, look: ExitLook, key: bytes, terms: tuple[int, int]) -> None:
    from crypto.signing.ecdsa import sign
    from darkpool.canonical_json import to_json
    from darkpool.client.leaving_steps import ALL
    from darkpool.client.relaying import RelayTerms, sign_orders
    from darkpool.units import within

    fee = within("--fee in token units", 0, ALL, terms[0])
    days = within("--valid-days", 1, DAYS_MAX, terms[1])
    relayed = RelayTerms(look.wishes.to, fee, look.moment.now + days * _DAY_S)
    orders = sign_orders(
        look.deployment,
        look.moment,
        look.account,
        look.balances,
        relayed,
        lambda digest: sign(digest, key),
    )
    write_new("--relay", path, to_json(orders))
