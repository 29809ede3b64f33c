"""What a keyper's disk keeps of intents, whatever happens to the process."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from crypto.signing.messages import Cancellation
from darkpool.keyper.admission_store import AdmissionStore
from darkpool.keyper.errors import AdmissionNotOpen, Equivocation
from darkpool.keyper.store import KeyperStore
from darkpool.limits import INTENTS_PER_ACCOUNT_MAX
from darkpool.protocol.intents import SignedCancellation
from darkpool.protocol.refusals import AuctionClosed, IntentCancelled, SecondIntent, TooManyIntents
from darkpool.units import Interval
from tests.support.interpreters import child
from tests.support.stored_intents import (
    DOMAIN,
    INTERVAL,
    SEALED,
    cancelled,
    key_of,
    numbered,
    shown,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyper.db"


@pytest.fixture
def store(path: Path) -> AdmissionStore:
    admissions = KeyperStore(path).admissions
    admissions.open(INTERVAL, 1000, b"\1" * 32, b"\2" * 32)
    return admissions


def both(path: Path, store: AdmissionStore) -> tuple[AdmissionStore, AdmissionStore]:
    """The store, and another that was opened later on the same file."""
    return store, KeyperStore(path).admissions


def test_an_interval_has_one_close_for_ever(path: Path, store: AdmissionStore) -> None:
    for again in both(path, store):
        again.open(INTERVAL, 1000, b"\1" * 32, b"\2" * 32)
        assert again.closes_ms(INTERVAL) == 1000
        for other in (
            (1001, b"\1" * 32, b"\2" * 32),
            (1000, b"\4" * 32, b"\2" * 32),
            (1000, b"\1" * 32, b"\3" * 32),
            (1000, b"\1" * 32, b""),
        ):
            with pytest.raises(Equivocation):
                again.open(INTERVAL, *other)


def test_nothing_is_kept_for_an_interval_that_was_not_opened(store: AdmissionStore) -> None:
    other = replace(SEALED, interval=8)
    for action in (
        lambda: store.closes_ms(Interval(8)),
        lambda: store.certify(key_of(other)),
        lambda: store.show(key_of(other), shown(other)),
        lambda: store.cancel(cancelled(other)),
        lambda: store.close(Interval(8)),
        lambda: store.known(Interval(8)),
    ):
        with pytest.raises(AdmissionNotOpen):
            action()


def test_one_live_intent_for_each_account_and_instrument(path: Path, store: AdmissionStore) -> None:
    store.certify(key_of(SEALED))
    for again in both(path, store):
        again.certify(key_of(SEALED))
        with pytest.raises(SecondIntent):
            again.certify(key_of(numbered(10)))
    store.certify(key_of(replace(SEALED, account=b"\7" * 20)))
    store.certify(key_of(replace(SEALED, instrument=b"\7" * 32)))


def test_a_cancelled_intent_gives_its_place_to_a_fresh_one(
    path: Path, store: AdmissionStore
) -> None:
    store.certify(key_of(SEALED))
    store.cancel(cancelled(SEALED))
    for again in both(path, store):
        with pytest.raises(IntentCancelled):
            again.certify(key_of(SEALED))
        again.certify(key_of(numbered(10)))
        with pytest.raises(SecondIntent):
            again.certify(key_of(numbered(11)))


def test_an_intent_can_be_cancelled_before_it_comes(path: Path, store: AdmissionStore) -> None:
    store.cancel(cancelled(SEALED))
    for again in both(path, store):
        with pytest.raises(IntentCancelled):
            again.certify(key_of(SEALED))


def test_a_cancellation_by_another_account_or_nonce_is_of_another_intent(
    store: AdmissionStore,
) -> None:
    right = Cancellation.of(SEALED, DOMAIN)
    for wrong in (
        replace(right, account=b"\7" * 20),
        replace(right, nonce=8),
        replace(right, instrument=b"\7" * 32),
    ):
        store.cancel(SignedCancellation(wrong, bytes(65)))
    store.certify(key_of(SEALED))


def test_an_account_has_a_bounded_number_of_intents(store: AdmissionStore) -> None:
    for number in range(INTENTS_PER_ACCOUNT_MAX):
        store.certify(key_of(numbered(number)))
        store.cancel(cancelled(numbered(number)))
    with pytest.raises(TooManyIntents):
        store.certify(key_of(numbered(99)))
    with pytest.raises(TooManyIntents):
        store.cancel(cancelled(numbered(99)))
    store.cancel(cancelled(numbered(3)))
    store.certify(key_of(replace(numbered(99), instrument=b"\7" * 32)))


def test_what_is_refused_leaves_no_trace(store: AdmissionStore) -> None:
    store.certify(key_of(SEALED))
    for number in range(100, 100 + 2 * INTENTS_PER_ACCOUNT_MAX):
        with pytest.raises(SecondIntent):
            store.certify(key_of(numbered(number)))
    store.cancel(cancelled(SEALED))
    store.certify(key_of(numbered(10)))


def test_the_end_of_certification_is_the_end_of_all(path: Path, store: AdmissionStore) -> None:
    store.show(key_of(SEALED), shown(SEALED))
    store.cancel(cancelled(numbered(10)))
    with pytest.raises(AdmissionNotOpen):
        store.known(INTERVAL)
    store.close(INTERVAL)
    for again in both(path, store):
        again.close(INTERVAL)
        again.open(INTERVAL, 1000, b"\1" * 32, b"\2" * 32)
        with pytest.raises(AuctionClosed):
            again.certify(key_of(numbered(11)))
        with pytest.raises(AuctionClosed):
            again.show(key_of(numbered(11)), shown(numbered(11)))
        with pytest.raises(AuctionClosed):
            again.cancel(cancelled(SEALED))
        known = again.known(INTERVAL)
        assert known.intents == (shown(SEALED),)
        assert known.cancellations == (cancelled(numbered(10)),)


CERTIFY_THEN_DIE = """
import os, signal, sys
from pathlib import Path
from darkpool.keyper.store import KeyperStore
from tests.support.stored_intents import INTERVAL, SEALED, key_of, numbered, shown, cancelled
store = KeyperStore(Path(sys.argv[1])).admissions
store.open(INTERVAL, 1000, b"\\x01" * 32, b"\\x02" * 32)
store.certify(key_of(SEALED))
store.show(key_of(numbered(20)), shown(numbered(20)))
if sys.argv[2] == "cancelled":
    store.cancel(cancelled(SEALED))
print("done", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("stage", ["certified", "cancelled"])
def test_a_killed_keyper_keeps_what_it_promised(path: Path, stage: str) -> None:
    process = child(CERTIFY_THEN_DIE, str(path), stage)
    output, _ = process.communicate(timeout=120)
    assert (process.returncode, output) == (-signal.SIGKILL, "done\n")
    store = KeyperStore(path).admissions
    if stage == "certified":
        store.certify(key_of(SEALED))
        with pytest.raises(SecondIntent):
            store.certify(key_of(numbered(10)))
    else:
        with pytest.raises(IntentCancelled):
            store.certify(key_of(SEALED))
        store.certify(key_of(numbered(10)))
    store.close(INTERVAL)
    assert store.known(INTERVAL).intents == (shown(numbered(20)),)
