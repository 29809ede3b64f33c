"""A venue's contracts at addresses that follow from its terms alone, on every chain.

A small contract that stands on most chains creates what it is sent by CREATE2: the address is a
hash of the creation code with its arguments. Where it does not stand yet, a transaction that nobody
has the key of puts it there, at the same address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from eth_abi.abi import encode
from eth_hash.auto import keccak

from darkpool.canonical_json import Bound, Width, to_json
from darkpool.chain.artifacts import load_artifact
from darkpool.chain.client import PERMIT2, Chain
from darkpool.chain.errors import DeploymentTaken
from darkpool.chain.evidence import Deployment
from darkpool.units import AccountId, account_bytes, account_of

DEPLOYER: Final = account_of(bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c"))
DEPLOYER_CODE_HASH: Final = bytes.fromhex(
    "2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989"
)

_DEPLOYER_SENDER: Final = account_of(bytes.fromhex("3fab184622dc19b6109349b94811493bf2a45362"))
_DEPLOYER_COST_WEI: Final = 10**16
_DEPLOYER_TRANSACTION: Final = bytes.fromhex(
    f"f8a58085174876e800830186a08080b853604580600e600039806000f350fe7f{'f' * 62}e0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
    f"1ba0{'2' * 64}a0{'2' * 64}"
)
_CONSTRUCTOR: Final = (
    "address[]",
    "bytes32",
    "bytes32",
    "address",
    "(address,uint256,uint256)[]",
    "(address,address,address,address)",
)

_VAULT_DEPLOYS_FROM: Final = 10
"""Bytes of the blueprint's creation code before what stays on the chain."""

DEPOSIT_MAX: Final = (1 << 96) - 1
ACCOUNTS_MAX: Final = (1 << 32) - 1
VAULTS_MAX: Final = 3
"""More do not fit one transaction of 2**24 gas (EIP-7825); the contract would take eight."""

SEATS_MAX: Final = 2_390
"""Accounts of all vaults together. A settlement publishes the leaves of all of them in one
transaction, and three more of each vault that are no client's: with more it could not settle."""

KEYPERS_MIN: Final = 4
KEYPERS_MAX: Final = 16

Hash = Annotated[bytes, Width(32)]


@dataclass(frozen=True, slots=True)
class VaultTerms:
    """A vault's token, its least deposit in token units, and how many accounts it takes."""

    token: AccountId
    deposit_min: Annotated[int, Bound(DEPOSIT_MAX, 1)]
    accounts_max: Annotated[int, Bound(ACCOUNTS_MAX, 1)]


@dataclass(frozen=True, slots=True)
class ContractTerms:
    """What a venue's contracts fix for ever; the vault of cash is the first.

    Attributes:
        keypers: addresses of the first committee's signing keys, in the order of their numbers.
        key_id, circuits: digests of its encryption keys and of the circuits that they serve.
        fund, treasury: who gets the insurance fund and the treasury when the venue has ended.
        rescuer: who gets other tokens that were sent to a vault.
        salt: tells venues of equal terms apart.
    """

    keypers: tuple[AccountId, ...]
    key_id: Hash
    circuits: Hash
    vaults: tuple[VaultTerms, ...]
    fund: AccountId
    treasury: AccountId
    rescuer: AccountId
    salt: int = 0

    def digest(self) -> bytes:
        """keccak-256 of the terms in canonical JSON."""
        return keccak(to_json(self))


@dataclass(frozen=True, slots=True)
class VenuePlaces:
    """Where the contracts of some terms stand on every chain."""

    blueprint: AccountId
    settlement: AccountId
    vaults: tuple[AccountId, ...]


def places_of(terms: ContractTerms) -> VenuePlaces:
    """The addresses that follow from terms; no chain is asked."""
    blueprint = _created(bytes(32), load_artifact("CollateralVault").bytecode)
    settlement = _created(_salt(terms), _settlement_code(terms, blueprint))
    # a contract counts what it creates from 1; the numbers are below 128, one byte each
    vaults = (
        account_of(keccak(b"\xd6\x94" + account_bytes(settlement) + bytes([number]))[12:])
        for number in range(1, len(terms.vaults) + 1)
    )
    return VenuePlaces(blueprint, settlement, tuple(vaults))


def blueprint_code() -> bytes:
    """The code of the vault's blueprint, as it stays on the chain (ERC-5202)."""
    return load_artifact("CollateralVault").bytecode[_VAULT_DEPLOYS_FROM:]


def deploy_venue(chain: Chain, terms: ContractTerms) -> Deployment:
    """Put a venue's contracts onto a chain, and use them from now on; what stands there stays.

    Raises:
        ChainTooOld: the chain's machine lacks instructions that the contracts need.
        DeploymentTaken: other code stands where the contract that creates them should.
        TransactionReverted: the contracts refuse the terms; the reason is that of a constructor.
    """
    chain.require_cancun()
    _require_deployer(chain)
    places = places_of(terms)
    code = load_artifact("CollateralVault").bytecode
    _create(chain, "the blueprint of a vault", places.blueprint, bytes(32) + code)
    made = _salt(terms) + _settlement_code(terms, places.blueprint)
    _create(chain, "Settlement", places.settlement, made)
    block = chain.deployed_in(places.settlement)
    chain.attach_at(places.settlement, block)
    return chain.deployment


def _require_deployer(chain: Chain) -> None:
    if not chain.code_of(DEPLOYER):
        chain.fund_gas(_DEPLOYER_SENDER, _DEPLOYER_COST_WEI)
        chain.send_signed("the contract that creates", _DEPLOYER_TRANSACTION)
    got = keccak(chain.code_of(DEPLOYER))
    if got != DEPLOYER_CODE_HASH:
        raise DeploymentTaken(f"code at {DEPLOYER}", DEPLOYER_CODE_HASH, got)


def _create(chain: Chain, name: str, place: AccountId, data: bytes) -> None:
    if chain.code_of(place):
        return
    chain.send_data(name, DEPLOYER, data)
    if not chain.code_of(place):
        raise DeploymentTaken(f"code at {place}", name, "none")


def _created(salt: bytes, code: bytes) -> AccountId:
    """Where the deployer creates a contract of a creation code (EIP-1014)."""
    return account_of(keccak(b"\xff" + account_bytes(DEPLOYER) + salt + keccak(code))[12:])


def _salt(terms: ContractTerms) -> bytes:
    return terms.salt.to_bytes(32, "big")


def _settlement_code(terms: ContractTerms, blueprint: AccountId) -> bytes:
    vaults = [(one.token, one.deposit_min, one.accounts_max) for one in terms.vaults]
    parties = (terms.fund, terms.treasury, terms.rescuer, PERMIT2)
    fixed = [list(terms.keypers), terms.key_id, terms.circuits, blueprint, vaults, parties]
    return load_artifact("Settlement").bytecode + encode(_CONSTRUCTOR, fixed)
