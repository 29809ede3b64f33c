"""What a check notes of a record: in words that a reader can use, and no more than can be told."""

import pytest

from darkpool.units import account_of
from darkpool.verification import report
from darkpool.verification.errors import TooManyDifferences
from darkpool.verification.report import FINDINGS_MAX, Findings

ADDRESS = bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")


def test_addresses_are_in_mixed_case_and_hashes_are_not() -> None:
    findings = Findings("committee")
    findings.equal("addresses", (ADDRESS, b"\xab" * 32), (bytes(20), bytes(32)))
    findings.equal("owner", ADDRESS, None)
    told = [(one.expected, one.got) for one in findings.check("", "").differences]
    assert told == [
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x" + "00" * 20),
        ("0x" + "ab" * 32, "0x" + "00" * 32),
        (account_of(ADDRESS), "none"),
    ]


def test_a_check_with_very_many_differences_says_where_it_ended() -> None:
    findings = Findings("fills")
    for number in range(FINDINGS_MAX):
        findings.add(f"fill {number}", 0, 1)
    with pytest.raises(TooManyDifferences):
        findings.add("fill 10000", 0, 1)
    check = findings.check("", "")
    assert len(check.differences) == FINDINGS_MAX + 1
    assert str(check.differences[-1]) == (
        "fills: expected differences that can be told, "
        "got 10000 and the rest, which was not looked at"
    )


def test_differences_of_very_long_text_end_a_check_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "FINDINGS_CHARACTERS_MAX", 100)
    findings = Findings("prices")
    findings.add("one", "a" * 40, "b" * 40)
    with pytest.raises(TooManyDifferences):
        findings.add("other", "a" * 40, "b" * 40)
    assert [one.part for one in findings.check("", "").differences] == ["one", "prices"]
