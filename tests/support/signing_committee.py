"""A committee and an account with its key, for the whole way of one auction over a chain."""

from collections.abc import Sequence

from crypto.signing.ecdsa import address_of, sign
from crypto.signing.messages import BatchRoot, SettlementRoot, instrument_id
from darkpool.chain.client import Chain
from darkpool.chain.evidence import ContractCall
from darkpool.protocol.results import BalanceLeaf, InstrumentResult
from darkpool.settlement.leaves import balances_root, results_root
from darkpool.units import AccountId, Cash, InstrumentId, Interval, Lots, Tick, account_id

KEYS = [bytes([number]) * 32 for number in range(1, 5)]


BATCH = b"\xba" * 32


FILLS = b"\xf1" * 32


RESULTS = (
    InstrumentResult(InstrumentId(instrument_id("ES")), True, Tick(12), Lots(340)),
    InstrumentResult(InstrumentId(instrument_id("NQ")), False, Tick(0), Lots(0)),
)


class SigningCommittee:
    """Four keypers that sign whatever they are asked to."""

    keys = KEYS
    results = RESULTS
    fills = FILLS
    batch = BATCH

    @property
    def addresses(self) -> list[AccountId]:
        return [account_of(key) for key in self.keys]

    def batch_signatures(self, chain: Chain, interval: int, root: bytes = BATCH) -> list[bytes]:
        digest = BatchRoot(interval, root, 9).digest(chain.deployment.domain())
        return [sign(digest, key) for key in self.keys]

    def commit(self, chain: Chain, interval: int) -> None:
        signatures = self.batch_signatures(chain, interval)[:3]
        chain.commit_batch(Interval(interval), BATCH, 9, signatures)

    def settle(self, chain: Chain, interval: int, leaves: list[BalanceLeaf]) -> None:
        chain.settle(*self._settlement(chain, interval, leaves))

    def settle_call(self, chain: Chain, interval: int, leaves: list[BalanceLeaf]) -> ContractCall:
        """The same, as what any account may send."""
        return chain.settle_call(*self._settlement(chain, interval, leaves))

    def _settlement(
        self, chain: Chain, interval: int, leaves: list[BalanceLeaf]
    ) -> tuple[Interval, Sequence[InstrumentResult], bytes, bytes, list[bytes]]:
        balances = balances_root(leaves)
        message = SettlementRoot(interval, results_root(RESULTS), FILLS, balances)
        digest = message.digest(chain.deployment.domain())
        signatures = [sign(digest, key) for key in self.keys[1:]]
        return Interval(interval), RESULTS, FILLS, balances, signatures


def account_of(key: bytes) -> AccountId:
    return account_id("0x" + address_of(key).hex())


def balance(account: AccountId, amount: int) -> BalanceLeaf:
    return BalanceLeaf(account, Cash(amount), Cash(0), bytes(32))
