"""Owner groups, minima, bonds and charges: what the auditor holds a record to."""

from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest

from darkpool.auction import publication as publishing
from darkpool.auction.listing import OutrightListing
from darkpool.limits import CAP_BUCKETS_LOTS
from darkpool.margin.accounts.positions import encode_positions
from darkpool.protocol.terms import BondTerms, Pricing, PublicRules
from darkpool.record.forms import BondRecord, OwnerRecord, RejectionRecord, StateRecord
from darkpool.record.reader import Record
from darkpool.units import (
    AccountId,
    Cash,
    Interval,
    Lots,
    OwnerId,
    PriceGrid,
    account_bytes,
    account_id,
    account_of,
)
from darkpool.verification import collateral, openings, participation
from darkpool.verification.basis import Basis
from darkpool.verification.report import Findings
from tests.support.intent_margin import intent_margin
from tests.support.one_unit import MARGIN, funded
from tests.support.records import Published
from tests.support.reference_prices import terms_on
from tests.support.stated import Stated


def account(raw: bytes) -> AccountId:
    return account_id("0x" + raw.hex())


def changed_record(record: Record, **changes: Any) -> Basis:
    summary = replace(record.summary, **changes)
    stated = Stated(summary=summary, intents=record.intents, margin=record.margin)
    return Basis(cast("Record", stated))


def margin_at_fault(record: Record, **changes: Any) -> str | None:
    """The part that the check of the accounts names first, if any."""
    findings = Findings("collateral")
    with findings.watch("collateral"):
        collateral.check_collateral(changed_record(record, **changes), findings)
    return None if findings.clean else findings.check("", "").part


def rules_at_fault(record: Record, **changes: Any) -> str | None:
    rules = replace(record.summary.participation, **changes)
    findings = Findings("intents")
    participation.check_public_rules(changed_record(record, participation=rules), findings)
    return None if findings.clean else findings.check("", "").part


def rejected(record: Record, *places: int, charge_ppm: int) -> dict[str, Any]:
    """A record's rejections, and its states after the charges that the engine's accounts take."""
    bond = replace(record.summary.bond, charge_ppm=charge_ppm)
    terms = BondTerms(Cash(bond.amount), charge_ppm, account(bond.treasury))
    charged = funded(0)
    for state in record.summary.after:
        charged.deposit(account(state.account), Cash(bond.amount))
        charged.hold_bond(account(state.account), terms, MARGIN)
    for place in places:
        sender = account(record.intents[place].sealed.account)
        charged.charge_bond(sender, terms.charge(), terms.treasury)
    charged.release_bonds()
    after = []
    for state in record.summary.after:
        cost = bond.amount - charged.cash(account(state.account))
        less = max(0, state.free - cost)
        after.append(replace(state, cash=state.cash - cost, free=less))
    taken = charged.cash(terms.treasury)
    if taken:
        nothing = encode_positions({})
        after.append(StateRecord(bond.treasury, taken, 0, 0, False, 0, nothing))
    entries = tuple(RejectionRecord(place, "shape") for place in places)
    ascending = tuple(sorted(after, key=lambda state: state.account))
    return {"bond": bond, "rejections": entries, "after": ascending}


@pytest.mark.parametrize("charge_ppm", [0, 100_000, 333_333, 600_000, 1_000_000])
def test_charges_are_those_of_the_accounts(uniform: Published, charge_ppm: int) -> None:
    record = Record.load(uniform.directory)
    changes = rejected(record, 0, 5, 12, 24, charge_ppm=charge_ppm)
    thrice = {record.intents[k].sealed.account for k in (0, 12, 24)}
    assert len(thrice) == 1
    assert margin_at_fault(record, **changes) is None
    thieves = {record.summary.bond.treasury, *thrice} & {s.account for s in changes["after"]}
    assert len(thieves) == (2 if charge_ppm else 1)
    for thief in thieves:
        after = tuple(
            replace(state, cash=state.cash + (state.account == thief)) for state in changes["after"]
        )
        at_fault = margin_at_fault(record, **{**changes, "after": after})
        assert at_fault == f"collateral after of {account_of(thief)}, cash"
    fewer = {**changes, "rejections": changes["rejections"][2:]}
    assert (margin_at_fault(record, **fewer) is None) == (charge_ppm == 0)


@pytest.mark.parametrize("places", [(5, 0), (0, 0)])
def test_rejections_ascend_and_come_once(uniform: Published, places: tuple[int, ...]) -> None:
    record = Record.load(uniform.directory)
    entries = tuple(RejectionRecord(place, "cap") for place in places)
    assert margin_at_fault(record, rejections=entries) == "rejections"


def test_the_bond_is_covered_besides_the_caps(uniform: Published) -> None:
    record = Record.load(uniform.directory)
    more = replace(record.summary.bond, amount=record.summary.bond.amount + 1)
    assert margin_at_fault(record, bond=more) == "fill 0, account"
    trader = record.summary.fills[0].account
    nothing = tuple(
        replace(flow, amount=flow.amount * (flow.account != trader))
        for flow in record.summary.flows
    )
    assert margin_at_fault(record, flows=nothing) == "fill 0, account"


def test_no_uncovered_account_trades_or_is_rejected(uniform: Published) -> None:
    """To the unit: the clients of the record have exactly what their intents need."""
    record = Record.load(uniform.directory)
    short = record.intents[0].sealed.account
    own = {k for k, i in enumerate(record.intents) if i.sealed.account == short}

    flows = record.summary.flows
    (paid_in,) = (k for k, flow in enumerate(flows) if flow.account == short)
    less = replace(flows[paid_in], amount=flows[paid_in].amount - 1)
    changes: dict[str, Any] = {"flows": (*flows[:paid_in], less, *flows[paid_in + 1 :])}
    everybody = frozenset(range(len(record.intents)))
    assert participation.covered(Basis(record)) == everybody
    assert participation.covered(changed_record(record, **changes)) == everybody - own
    filled = next(k for k, fill in enumerate(record.summary.fills) if fill.account == short)
    assert margin_at_fault(record, **changes) == f"fill {filled}, account"
    changes["fills"] = tuple(fill for fill in record.summary.fills if fill.account != short)
    changes["rejections"] = (RejectionRecord(min(own), "cap"),)
    assert margin_at_fault(record, **changes) == "rejection 0, account"


def test_an_owner_with_two_intents_in_a_book_is_found(uniform: Published) -> None:
    record = Record.load(uniform.directory)
    one, two = sorted(intent.sealed.account for intent in record.intents[:2])
    stranger = b"\xff" * 20
    assert rules_at_fault(record) is None
    assert rules_at_fault(record, owners=(OwnerRecord(one, stranger),)) is None
    both = (OwnerRecord(one, stranger), OwnerRecord(two, stranger))
    assert rules_at_fault(record, owners=both) == "intent 1, owner"
    assert rules_at_fault(record, owners=(OwnerRecord(one, two),)) == "intent 1, owner"
    for owners in (both[::-1], (both[0], both[0])):
        assert rules_at_fault(record, owners=owners) == "owners"
    chain = (OwnerRecord(one, two), OwnerRecord(two, stranger))
    assert rules_at_fault(record, owners=chain) == f"owner of {account_of(one)}, owner"


def test_least_caps_and_owners_are_checked(uniform: Published) -> None:
    record = Record.load(uniform.directory)
    cap = record.intents[0].sealed.cap
    assert rules_at_fault(record, cap_min=cap) is None
    above = next(bucket for bucket in CAP_BUCKETS_LOTS if bucket > cap)
    assert rules_at_fault(record, cap_min=above) == "intent 0, cap"
    assert rules_at_fault(record, cap_min=3) == "cap_min"
    assert rules_at_fault(record, owners_min=0) == "owners_min"


def test_keypers_sign_the_public_rules_that_the_auditor_reads(uniform: Published) -> None:
    record = Record.load(uniform.directory)
    summary, material = record.summary, record.material()
    names = [instrument.name for instrument in summary.instruments]
    grid = PriceGrid(Decimal("0.25"), Decimal(100), summary.ticks)
    margin = intent_margin(OutrightListing(grid, 100_003, 5), names, summary.venue.domain())
    one, two, owner = (account(bytes([k]) * 20) for k in (200, 100, 255))
    bond = BondTerms(Cash((1 << 128) - 1), 7, one)
    rules = PublicRules(bond, {one: OwnerId(owner), two: OwnerId(owner)}, 5, Lots(20))
    vault = account(summary.venue.vault)
    terms = replace(
        terms_on(grid, margin.names, Interval(1), summary.venue.domain(), material),
        vault=vault,
        pricing=Pricing(summary.pricing),
        margin_digest=margin.inputs.digest(),
        rules=rules,
    )
    digests = set()
    others = (
        replace(rules, owners={}),
        replace(rules, owners={one: OwnerId(owner)}),
        replace(rules, owners_min=4),
        replace(rules, cap_min=Lots(10)),
        replace(rules, bond=replace(bond, amount=Cash(3))),
        replace(rules, bond=replace(bond, charge_ppm=8)),
        replace(rules, bond=replace(bond, treasury=two)),
    )
    for changed in (rules, *others):
        signed, held = replace(terms, rules=changed).digest, changed.bond
        stated = replace(
            summary,
            reporter=account_bytes(terms.reporter),
            references=tuple(map(publishing.reference_record, terms.references.values())),
            participation=publishing.participation_record(changed),
            bond=BondRecord(held.amount, held.charge_ppm, account_bytes(held.treasury)),
        )
        read = cast(
            "Record",
            Stated(
                summary=stated,
                material=lambda: material,
                margin=margin.inputs,
                margin_digest=margin.inputs.digest(),
            ),
        )
        assert openings.terms_digest(read) == signed
        digests.add(signed)
    assert len(digests) == 1 + len(others)
