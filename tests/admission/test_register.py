"""The admission register: what it refuses, and that nothing makes it forget."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from crypto.signing.messages import SealedIntent
from darkpool.admission.register import IN_MEMORY, AdmissionRegister
from darkpool.limits import CAPS_SUM_MAX_LOTS, REJECTIONS_PER_ACCOUNT_AND_EPOCH_MAX
from darkpool.protocol.refusals import (
    AuctionFull,
    CapRefused,
    CiphertextSeen,
    NonceUsed,
    SecondIntent,
    SecondIntentOfOwner,
    TooManyRejections,
)
from darkpool.units import OwnerId
from tests.support.interpreters import child

ANN, BOB = OwnerId("ann"), OwnerId("bob")
MOST = 2048
INTENT = SealedIntent(b"\1" * 20, b"\2" * 32, 7, bytes(32), b"\3" * 32, 5, (1 << 64) - 1, 1, 2)


def other(**changes: int | bytes) -> SealedIntent:
    """Another account's intent, different in everything that may come once."""
    fresh = {"account": b"\4" * 20, "nonce": 9, "ciphertext_digest": b"\5" * 32}
    return replace(INTENT, **{**fresh, **changes})  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "register.sqlite"


@pytest.mark.parametrize("restart", [False, True])
def test_everything_that_may_come_once_comes_once(path: Path, restart: bool) -> None:
    register = AdmissionRegister(path)
    register.record(INTENT, ANN, MOST)
    if restart:
        register.close()
        register = AdmissionRegister(path)
    for intent, owner, error in (
        (INTENT, ANN, NonceUsed),
        (other(account=INTENT.account, nonce=INTENT.nonce, interval=8), ANN, NonceUsed),
        (other(account=INTENT.account), ANN, SecondIntent),
        (other(account=INTENT.account), BOB, SecondIntent),
        (other(), ANN, SecondIntentOfOwner),
        (other(ciphertext_digest=INTENT.ciphertext_digest), BOB, CiphertextSeen),
        (other(cap=CAPS_SUM_MAX_LOTS - 4), BOB, CapRefused),
    ):
        for attempt in (register.require_new, register.record):
            with pytest.raises(error):
                attempt(intent, owner, MOST)
    with pytest.raises(AuctionFull):
        register.require_new(other(), BOB, 1)
    register.record(other(), BOB, MOST)


def test_an_owner_may_trade_every_instrument_and_every_interval() -> None:
    register = AdmissionRegister(IN_MEMORY)
    register.record(INTENT, ANN, MOST)
    register.record(other(instrument=b"\7" * 32), ANN, MOST)
    register.record(other(interval=8, nonce=10, ciphertext_digest=b"\6" * 32), ANN, MOST)


def test_an_account_that_is_rejected_too_often_is_refused_in_that_epoch(path: Path) -> None:
    register = AdmissionRegister(path)
    rejected = [
        other(nonce=k, ciphertext_digest=bytes([k]) * 32)
        for k in range(REJECTIONS_PER_ACCOUNT_AND_EPOCH_MAX)
    ]
    register.note_rejections(rejected[:-1])
    register.note_rejections(rejected[:-1])
    assert register.rejections(other().account, 2) == len(rejected) - 1
    register.require_new(other(nonce=99), BOB, MOST)
    register.note_rejections(rejected)
    register.close()
    register = AdmissionRegister(path)
    with pytest.raises(TooManyRejections) as caught:
        register.require_new(other(nonce=99), BOB, MOST)
    assert caught.value.got == str(REJECTIONS_PER_ACCOUNT_AND_EPOCH_MAX)
    register.require_new(other(nonce=99, key_epoch=3), BOB, MOST)
    register.record(INTENT, ANN, MOST)


ADMIT = """
import sys
from pathlib import Path
from crypto.signing.messages import SealedIntent
from darkpool.admission.register import AdmissionRegister
from darkpool.protocol.refusals import (AdmissionRefused)
from darkpool.units import OwnerId

def intent(k):
    account = k.to_bytes(20, "big")
    return SealedIntent(account, bytes(32), 7, bytes(32), account + bytes(12), 5, k, 1, 2)

register = AdmissionRegister(Path(sys.argv[1]))
"""
UNTIL_KILLED = """
for k in range(1, 100_000):
    register.record(intent(k), OwnerId(str(k)), 200_000)
    register.note_rejections([intent(k)])
    print(k, flush=True)
"""


def test_a_killed_venue_has_forgotten_nothing_that_it_acknowledged(path: Path) -> None:
    process = child(ADMIT + UNTIL_KILLED, str(path))
    assert process.stdout is not None
    for _ in range(50):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    acknowledged = max([50, *map(int, rest.split("\n")[:-1])])
    register = AdmissionRegister(path)
    for k in range(1, acknowledged + 1):
        account = k.to_bytes(20, "big")
        intent = SealedIntent(account, bytes(32), 7, bytes(32), account + bytes(12), 5, k, 1, 2)
        with pytest.raises(NonceUsed):
            register.require_new(intent, OwnerId(str(k)), 200_000)
        assert register.rejections(account, 2) == 1
    # one more may have been written down before its acknowledgment, and is counted whole
    new = other(account=b"\xff" * 20)
    for most, full in ((acknowledged, True), (acknowledged + 2, False)):
        if full:
            with pytest.raises(AuctionFull):
                register.require_new(replace(new, instrument=bytes(32)), BOB, most)
        else:
            register.require_new(replace(new, instrument=bytes(32)), BOB, most)


RACE = """
print("ready", flush=True)
sys.stdin.readline()
for k in range(1, 61):
    try:
        register.record(intent(k), OwnerId(str(k)), 50)
        print(k, flush=True)
    except AdmissionRefused:
        pass
"""


def test_two_processes_admit_an_intent_once_and_no_more_than_there_is_room(path: Path) -> None:
    processes = [child(ADMIT + RACE, str(path)) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    admitted: list[int] = []
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        admitted += map(int, output.split())
    assert sorted(admitted) == list(range(1, 51))
