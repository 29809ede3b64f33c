import secrets
from collections import Counter
from dataclasses import replace

import pytest

from crypto.bfv.ciphertext import from_wire
from crypto.ring.params import TEST_INSECURE_SMALL
from crypto.signing.eip712 import Domain
from crypto.threshold.keys import deal
from crypto.threshold.replicated import Committee
from darkpool.admission.register import IN_MEMORY, AdmissionRegister
from darkpool.client.agent import Agent
from darkpool.client.errors import ForeignStore, IntervalOver, TermsChanged, UnknownIntent
from darkpool.client.opening_file import OpeningFile, verify_opening_file
from darkpool.client.plan import CoverPolicy
from darkpool.client.signer import KeySigner
from darkpool.protocol.intents import SealedSubmission
from darkpool.units import Interval, Lots, Side
from tests.support.agent_desk import ALWAYS, DEADLINE_S, ES, NQ, Desk, collected, order
from tests.support.reference_prices import renewed

HALF = CoverPolicy(500_000, Lots(50))


def lengths(submission: SealedSubmission) -> tuple[int, ...]:
    return (
        len(submission.ciphertext),
        len(submission.signature),
        *map(len, submission.envelopes),
    )


def test_a_keyper_committee_admits_orders_and_cover(desk: Desk) -> None:
    store = desk.store()
    store.place(order())
    agent = desk.agent(store, {NQ: ALWAYS})
    register = AdmissionRegister(IN_MEMORY)
    for interval in (1, 2):
        sent = desk.sent(agent, interval)
        assert {submission.sealed.instrument for submission in sent} == {ES, NQ}
        admission = desk.venue.admission(register, desk.terms(interval))
        for submission in sent:
            assert len(admission.admit(submission).certificate.signatures) == 4
        store.apply_result(Interval(interval), {})


def test_the_same_bytes_are_sent_again_also_after_a_restart(desk: Desk) -> None:
    store = desk.store()
    store.place(order())
    agent = desk.agent(store, {ES: ALWAYS, NQ: ALWAYS})
    first = desk.sent(agent, 1)
    assert len(first) == 2
    assert desk.sent(agent, 1) == first
    store.close()
    store = desk.store()
    agent = desk.agent(store)
    assert desk.sent(agent, 1) == first
    assert collected(agent.submissions(desk.terms(1), DEADLINE_S + 5)) == first


def test_what_was_planned_before_a_crash_is_sent_after_it(desk: Desk) -> None:
    """An order that is placed, amended or cancelled meanwhile does not change the interval."""
    store = desk.store()
    number = store.place(order(instrument=NQ))
    agent = desk.agent(store, {ES: ALWAYS})
    agent.submissions(desk.terms(1), DEADLINE_S)
    store.place(order())
    store.cancel(number)
    planned = store.intents(Interval(1))
    assert Counter(p.intent.size for p in planned) == Counter([0, 10])
    sent = desk.sent(agent, 1)
    assert {s.sealed.nonce for s in sent} == {p.intent.nonce for p in planned}
    for submission in sent:
        opening = agent.opening(submission.sealed.instrument, Interval(1))  # type: ignore[arg-type]
        assert opening.intent in [p.intent for p in planned]


def test_keys_that_changed_under_one_epoch_are_refused(desk: Desk) -> None:
    store = desk.store()
    store.place(order())
    agent = desk.agent(store)
    desk.sent(agent, 1)
    epoch = desk.venue.terms.material.committee.epoch
    material, _ = deal(TEST_INSECURE_SMALL, Committee(4, epoch))
    other = replace(desk.terms(1), material=material)
    with pytest.raises(TermsChanged, match="ciphertext"):
        collected(agent.submissions(other, DEADLINE_S))
    material, _ = deal(TEST_INSECURE_SMALL, Committee(4, epoch + 1))
    with pytest.raises(TermsChanged, match="epoch"):
        agent.submissions(replace(other, material=material), DEADLINE_S)


def test_nonces_are_never_used_twice(desk: Desk) -> None:
    nonces: list[int] = []
    for interval in range(1, 6):
        store = desk.store()
        agent = desk.agent(store, {ES: ALWAYS, NQ: ALWAYS})
        nonces += [submission.sealed.nonce for submission in desk.sent(agent, interval)]
        store.apply_result(Interval(interval), {})
        store.close()
    assert nonces == list(range(nonces[0], nonces[0] + 10))


def test_every_opening_opens_its_intent_also_after_the_result(desk: Desk) -> None:
    store = desk.store()
    store.place(order(side=Side.SELL))
    agent = desk.agent(store, {NQ: ALWAYS})
    sent = desk.sent(agent, 1)
    store.apply_result(Interval(1), {})
    ring = TEST_INSECURE_SMALL.order_ring
    for submission, instrument in zip(sent, sorted((ES, NQ)), strict=True):
        opening = agent.opening(instrument, Interval(1))
        assert OpeningFile.from_json(opening.to_json()) == opening
        ciphertext = from_wire(submission.ciphertext, ring, len(ring.data_primes))
        verify_opening_file(opening, submission.sealed, ciphertext, desk.venue.terms.material)
    assert agent.opening(ES, Interval(1)).intent.size == 10
    assert agent.opening(NQ, Interval(1)).intent.size == 0
    with pytest.raises(UnknownIntent):
        agent.opening(ES, Interval(2))


def test_order_out_of_range_order_and_cover_look_alike(desk: Desk) -> None:
    """Length of everything, cap, deadline and consecutive nonces: all that is public."""
    store = desk.store()
    agent = desk.agent(store, {ES: ALWAYS, NQ: ALWAYS})
    store.place(order(10, cap=Lots(20)))
    store.place(order(30, instrument=NQ, side=Side.SELL, cap=Lots(20)))
    public = set()
    for interval, reference in enumerate(("4805", "4900", "4700"), start=1):
        for submission in desk.sent(agent, interval, reference):
            sealed = submission.sealed
            public.add((*lengths(submission), sealed.cap, sealed.deadline, sealed.key_epoch))
        store.apply_result(Interval(interval), {})
    for placed in store.orders():
        store.cancel(placed.number)
    for submission in desk.sent(agent, 4):
        sealed = submission.sealed
        public.add((*lengths(submission), sealed.cap, sealed.deadline, sealed.key_epoch))
    planned = [p.intent.size for interval in range(1, 5) for p in store.intents(Interval(interval))]
    assert Counter(planned) == Counter([0, 0, 0, 0, 10, 10, 20, 20])
    assert len(public) == 1


def test_cover_has_the_cap_of_its_policy_before_the_first_order(desk: Desk) -> None:
    store = desk.store()
    agent = desk.agent(store, {ES: ALWAYS})
    caps = []
    for interval in range(1, 4):
        caps += [submission.sealed.cap for submission in desk.sent(agent, interval)]
        store.apply_result(Interval(interval), {})
        if interval == 1:
            store.place(order(cap=Lots(200), good_until=Interval(2)))
    assert caps == [50, 200, 200]


def test_cover_is_sent_at_its_rate_and_decided_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2,000 decisions at one half: five deviations are 112."""
    store = desk.store()
    agent = desk.agent(store, {ES: HALF, NQ: HALF})
    count = 0
    for interval in range(1, 1001):
        agent.submissions(desk.terms(interval), DEADLINE_S)
        planned = store.intents(Interval(interval))
        if interval <= 40:
            agent.submissions(desk.terms(interval), DEADLINE_S)
            assert store.intents(Interval(interval)) == planned
        assert all(p.intent.size == 0 and p.order is None for p in planned)
        count += len(planned)
        store.apply_result(Interval(interval), {})
    assert 888 <= count <= 1112
    draws: list[int] = []

    def counted(below: int) -> int:
        draws.append(below)
        return 0

    monkeypatch.setattr(secrets, "randbelow", counted)
    agent.submissions(desk.terms(1001), DEADLINE_S)
    agent.submissions(desk.terms(1001), DEADLINE_S)
    assert draws == [1_000_000] * 2, "one draw for each instrument"


@pytest.mark.parametrize("rate", [0, 1_000_000])
def test_the_extreme_rates_are_never_and_always(desk: Desk, rate: int) -> None:
    store = desk.store()
    agent = desk.agent(store, {ES: CoverPolicy(rate, Lots(1))})
    for interval in range(1, 51):
        agent.submissions(desk.terms(interval), DEADLINE_S)
        assert len(store.intents(Interval(interval))) == bool(rate)
        store.apply_result(Interval(interval), {})


def test_an_instrument_that_is_not_traded_is_passed_over(desk: Desk) -> None:
    store = desk.store()
    store.place(order())
    agent = desk.agent(store, {NQ: ALWAYS})
    terms = renewed(desk.terms(1), instruments=[NQ])
    sent = collected(agent.submissions(terms, DEADLINE_S))
    assert [submission.sealed.instrument for submission in sent] == [NQ]
    store.apply_result(Interval(1), {})
    assert len(desk.sent(agent, 2)) == 2


def test_an_agent_serves_its_account_at_its_venue(desk: Desk) -> None:
    store = desk.store()
    with pytest.raises(ForeignStore, match="signer"):
        Agent(store, KeySigner(b"\x02" * 32), {})
    other = renewed(desk.terms(1), domain=Domain(1, bytes(20)))
    with pytest.raises(ForeignStore, match="chain"):
        desk.agent(store).submissions(other, DEADLINE_S)


def test_a_submission_is_not_sealed_for_an_interval_that_is_over(desk: Desk) -> None:
    store = desk.store()
    agent = desk.agent(store, {ES: ALWAYS})
    desk.sent(agent, 2)
    store.apply_result(Interval(2), {})
    with pytest.raises(IntervalOver):
        agent.submissions(desk.terms(1), DEADLINE_S)
