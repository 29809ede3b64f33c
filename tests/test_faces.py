"""The two public faces: what they list, and the examples of the documents that use them."""

import importlib
from pathlib import Path

import pytest

from crypto.ring.params import TEST_INSECURE_SMALL
from darkpool.client import AgentStore, SealedSubmission
from darkpool.units import Interval
from tests.support.admission_venue import made_venue
from tests.support.agent_desk import ACCOUNT, DEADLINE_S, ES, KEY, Desk
from tests.support.documents import examples
from tests.support.one_process import one_process

FACES = ("darkpool.client", "darkpool.verification")


@pytest.mark.parametrize("face", FACES)
def test_a_face_lists_what_it_has_in_order(face: str) -> None:
    module = importlib.import_module(face)
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name).__doc__ or name in {"Lots", "Tick", "Interval", "PriceUnits"}


def test_the_examples_of_the_clients_document_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    desk = Desk(made_venue(TEST_INSECURE_SMALL, 4), tmp_path / "other.db")
    sent: list[SealedSubmission] = []
    kept: list[str] = []
    _, standing, single = examples("agent.md")
    names = {
        "account_key": KEY,
        "passphrase": "four words of one",
        "deadline_s": DEADLINE_S,
        "instrument": ES,
        "nonce": 7,
        "send": sent.append,
        "keep": kept.append,
        "terms": desk.terms(1),
    }
    exec(standing, dict(names))  # noqa: S102
    assert len(sent) == 1
    store = AgentStore(tmp_path / "agent.db", ACCOUNT, desk.venue.terms.domain)
    assert [(placed.filled, placed.remaining) for placed in store.orders()] == [(20, 100)]
    exec(single, dict(names))  # noqa: S102
    assert len(sent) == 2
    assert sent[1].sealed.interval == Interval(1)
    assert len(kept) == 1


def test_the_page_that_runs_an_auction_from_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("crypto.ring.params.STANDARD", TEST_INSECURE_SMALL)
    (page,) = examples("python.md")
    with one_process():
        exec(page, {"__name__": "__main__"})  # noqa: S102
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ES 4805.00 5"
    assert lines[1] == "2 ann buy 5"
    assert lines[-1] == "True"
