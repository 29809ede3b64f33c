"""A committee, an account with its key, and the whole way of one auction over a chain."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crypto.signing.ecdsa import address_of, sign
from crypto.signing.messages import BatchRoot, SettlementRoot, instrument_id
from darkpool.chain.client import Chain
from darkpool.protocol.results import BalanceLeaf, InstrumentResult
from darkpool.settlement.leaves import balances_root, results_root
from darkpool.units import AccountId, Cash, InstrumentId, Interval, Lots, Tick, account_id

ANVIL = "@foundry-rs/anvil@1.7.1"
KEYS = [bytes([number]) * 32 for number in range(1, 5)]
BATCH = b"\xba" * 32
FILLS = b"\xf1" * 32
RESULTS = (
    InstrumentResult(InstrumentId(instrument_id("ES")), True, Tick(12), Lots(340)),
    InstrumentResult(InstrumentId(instrument_id("NQ")), False, Tick(0), Lots(0)),
)


class Committee:
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
        balances = balances_root(leaves)
        message = SettlementRoot(interval, results_root(RESULTS), FILLS, balances)
        digest = message.digest(chain.deployment.domain())
        signatures = [sign(digest, key) for key in self.keys[1:]]
        chain.settle(Interval(interval), RESULTS, FILLS, balances, signatures)


def account_of(key: bytes) -> AccountId:
    return account_id("0x" + address_of(key).hex())


@pytest.fixture(scope="session")
def committee() -> Committee:
    return Committee()


@pytest.fixture(scope="session")
def account_of_key() -> Callable[[bytes], AccountId]:
    return account_of


@pytest.fixture(scope="session")
def balance() -> Callable[[AccountId, int], BalanceLeaf]:
    return lambda account, amount: BalanceLeaf(account, Cash(amount), Cash(0), bytes(32))


@pytest.fixture(scope="session")
def anvil_binary(pytestconfig: pytest.Config) -> Path:
    npm = shutil.which("npm")
    if npm is None or pytestconfig.cache is None:
        pytest.skip("no npm, or no cache to install anvil into")
    folder = pytestconfig.cache.mkdir("anvil-1.7.1")
    pattern = "node_modules/@foundry-rs/anvil-*/bin/anvil*"
    if not list(folder.glob(pattern)):
        # the binary is in the package itself; its scripts are not needed
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]
        done = subprocess.run([*command, folder, ANVIL], capture_output=True, check=False)  # noqa: S603
        if done.returncode != 0:
            pytest.skip(f"npm cannot install {ANVIL}: {done.stderr.decode()[-300:]}")
    return next(folder.glob(pattern))


@pytest.fixture
def anvil_url(anvil_binary: Path) -> Iterator[str]:
    command = [str(anvil_binary), "--port", "0", "--chain-id", "31337"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:  # noqa: S603
        assert node.stdout is not None
        try:
            for line in node.stdout:
                if listening := re.search(r"Listening on (\S+)", line):
                    yield f"http://{listening[1]}"
                    break
            else:
                pytest.fail("anvil ended before it listened")
        finally:
            node.terminate()
