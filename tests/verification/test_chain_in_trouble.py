"""What an audit says of a chain that does not answer, or answers something else than a record."""

from collections.abc import Callable
from typing import Any

import pytest

from darkpool.chain import node
from darkpool.chain.reader import RecordedVenue
from darkpool.chain.reading import ReadableChain
from darkpool.cli.tables import audit_document
from darkpool.record.reader import Record
from darkpool.verification.audit import audit
from darkpool.verification.evidence import Anchor
from darkpool.verification.report import AuditReport, Check, Verdict
from tests.support.records import Copy, Published
from tests.support.served_chain import Reply, ServedChain, lost, refusal, result, served


def asked(
    published: Published,
    made: Callable[[str, list[Any]], Reply | None],
    anchor: Anchor | None = None,
) -> AuditReport:
    """The quick audit of a record with a node that has a trouble."""
    venue = Record.load(published.directory).summary.venue
    serving = ServedChain(published.chain._web3)
    serving.trouble = made
    with served(serving) as url:
        reader = RecordedVenue(ReadableChain.at(url), venue)
        return audit(published.directory, reader, quick=True, anchor=anchor)


def chain_line(report: AuditReport) -> Check:
    (line,) = (check for check in report.checks if check.name == "chain")
    return line


SILENT = {
    "another page": Reply(b"<html>please log in</html>"),
    "busy": Reply(b"", 503),
    "lost": lost(),
    "no such method": refusal(-32601, "not available"),
    "numbers": result(7),
}


@pytest.mark.parametrize("reply", SILENT.values(), ids=SILENT)
@pytest.mark.parametrize("method", ["eth_chainId", "eth_getLogs"])
def test_a_chain_that_does_not_answer_is_not_checked(
    uniform: Published, reply: Reply, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "PATIENCE_S", 0)
    report = asked(uniform, lambda got, _params: reply if got == method else None)
    line = chain_line(report)
    assert line.verdict is Verdict.NOT_CHECKED
    assert line.detail.startswith("chain: expected an answer from http://127.0.0.1")
    assert report.verdict is Verdict.NOT_CHECKED
    assert not report.ok
    assert audit_document(report)["verdict"] == "not checked"
    assert str(report.unanswered) in line.detail


def test_another_chain_is_told_by_its_number(uniform: Published) -> None:
    methods: set[str] = set()

    def another(method: str, _params: list[Any]) -> Reply | None:
        methods.add(method)
        return result("0x1") if method == "eth_chainId" else None

    report = asked(uniform, another)
    line, number = chain_line(report), Record.load(uniform.directory).summary.venue.chain_id
    assert line.verdict is Verdict.FAILS
    assert line.detail == f"chain id: expected {number} as in the record, got 1"
    assert report.unanswered is None
    # nothing that another chain says of these addresses means anything
    assert methods == {"eth_chainId"}


def test_a_node_of_two_chains_says_nothing_of_a_record(uniform: Published) -> None:
    """Behind one address there may be several nodes."""
    number = Record.load(uniform.directory).summary.venue.chain_id
    seen: list[str] = []

    def trouble(method: str, _params: list[Any]) -> Reply | None:
        if method != "eth_chainId":
            return None
        seen.append(method)
        return result(hex(number if len(seen) == 1 else 1))

    report = asked(uniform, trouble)
    line = chain_line(report)
    assert line.verdict is Verdict.NOT_CHECKED
    assert f"chain 1, after chain {number}" in line.detail
    assert not report.ok


def test_a_contract_that_no_chain_spoke_of_is_no_anchor(uniform: Published) -> None:
    anchor = Anchor(Record.load(uniform.directory).summary.venue.settlement)
    silent = asked(uniform, lambda _method, _params: refusal(-32601, "not available"), anchor)
    answering = asked(uniform, lambda _method, _params: None, anchor)
    for report, verdict in ((silent, Verdict.NOT_CHECKED), (answering, Verdict.HOLDS)):
        (line,) = (check for check in report.checks if check.name == "anchor")
        assert line.verdict is verdict, line.detail


def test_a_node_that_limits_what_it_tells_is_enough_for_an_audit(uniform: Published) -> None:
    def limited(method: str, params: list[Any]) -> Reply | None:
        if method == "eth_accounts":
            return result([])
        if method != "eth_getLogs":
            return None
        span = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16)
        return refusal(-32602, "range exceeds limit") if span >= 3 else None

    assert chain_line(asked(uniform, limited)).verdict is Verdict.HOLDS


def test_a_node_that_has_not_come_so_far_says_nothing_against_a_record(
    uniform: Published, quiet: Published, copy_of: Callable[[Published], Copy]
) -> None:
    """On a chain where the batch is not committed, a later block may still commit it."""
    copy = copy_of(quiet)

    def later(tree: Any) -> None:
        tree["summary"]["interval"] = 99
        tree["evidence"]["settlement"]["transaction"]["block"] = 1 << 40

    copy.change("record.json", later)
    copy.reseal()
    venue = Record.load(copy.directory).summary.venue
    report = audit(copy.directory, RecordedVenue(uniform.chain, venue), quick=True)
    line = chain_line(report)
    assert line.verdict is Verdict.NOT_CHECKED
    assert "of which the record names 1099511627776" in line.detail


def test_a_record_of_a_settlement_that_was_not_sent_waits_for_it(
    uniform: Published, copy_of: Callable[[Published], Copy]
) -> None:
    copy = copy_of(uniform)
    unsent = {"transaction": None}
    copy.change("record.json", lambda tree: tree["evidence"]["settlement"].update(unsent))
    copy.reseal()
    venue = Record.load(copy.directory).summary.venue
    report = audit(copy.directory, RecordedVenue(uniform.chain, venue), quick=True)
    assert chain_line(report).verdict is Verdict.HOLDS
