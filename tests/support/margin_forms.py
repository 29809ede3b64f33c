"""Forms of what margin follows from, with something in every field; no market has these."""

from darkpool.record.margin_forms import (
    CollateralRecord,
    ContractRecord,
    ExpiryRecord,
    GroupRecord,
    MarginInputs,
    MarketRecord,
    QuoteRecord,
    QuotesRecord,
    ReportRecord,
    RiskArrayRecord,
    RiskArraysFile,
    SpecificationRecord,
    UnderlyingRecord,
)

QUOTE = QuoteRecord(-7, (ReportRecord(-7, 5, bytes(65)),))
MARGIN = MarginInputs(
    SpecificationRecord(
        2,
        "all",
        10**6,
        0,
        (UnderlyingRecord("U", 1, 10**6, 2, 3, 4, 5, 6, (1 << 63) - 1, 7, 8),),
        (GroupRecord("both", ("U", "V"), 500_000),),
        (CollateralRecord("T", "U", 100_000, (1 << 63) - 1),),
        (ContractRecord("ES H4", "call", "U", 5, 250_000, 1_900_000_000_000, 60_000_000),),
    ),
    MarketRecord(
        2,
        1_800_000_000_000,
        (bytes(20),),
        0,
        60_000,
        (
            QuotesRecord("U", QUOTE, None, ()),
            QuotesRecord(
                "V", QUOTE, QUOTE, (ExpiryRecord(1_900_000_000_000, QUOTE, QUOTE, (1,), (QUOTE,)),)
            ),
        ),
    ),
    RiskArraysFile(2, (RiskArrayRecord((-1, 10**18), (0, 1), -(10**18)),)),
)
