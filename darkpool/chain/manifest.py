"""The manifest of a deployment: what anybody compares a venue's contracts with, without a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from crypto.errors import hexadecimal
from darkpool.canonical_json import from_json
from darkpool.chain.artifacts import load_artifact
from darkpool.chain.calls import Call
from darkpool.chain.client import PERMIT2
from darkpool.chain.deploying import (
    DEPLOYER,
    DEPLOYER_CODE_HASH,
    KEYPERS_MAX,
    KEYPERS_MIN,
    VAULTS_MAX,
    ContractTerms,
    Hash,
    VaultTerms,
    blueprint_code,
    places_of,
)
from darkpool.chain.errors import InvalidManifest
from darkpool.chain.evidence import Deployment
from darkpool.chain.reading import ReadableChain
from darkpool.errors import InvalidAccount, MalformedRecord
from darkpool.units import AccountId, account_id

MANIFEST_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class PlacedCode:
    """A contract's address, and keccak-256 of the code that stands there."""

    address: AccountId
    code_hash: Hash


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where a venue's contracts stand, and the terms that their addresses follow from.

    Attributes:
        block: in which Settlement was created.
        digest: keccak-256 of the terms in canonical JSON.
    """

    version: int
    chain_id: int
    block: int
    deployer: PlacedCode
    blueprint: PlacedCode
    settlement: PlacedCode
    vaults: tuple[PlacedCode, ...]
    permit2: AccountId
    terms: ContractTerms
    digest: Hash


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be equal, as text."""

    name: str
    expected: str
    got: str

    @property
    def ok(self) -> bool:
        """Whether it is."""
        return self.expected == self.got


def manifest_of(chain: ReadableChain, terms: ContractTerms, deployment: Deployment) -> Manifest:
    """The manifest of contracts that were deployed under some terms.

    Raises:
        ChainUnavailable: the node does not answer.
    """
    places = places_of(terms)
    return Manifest(
        MANIFEST_VERSION,
        deployment.chain_id,
        deployment.block,
        _placed(chain, DEPLOYER),
        _placed(chain, places.blueprint),
        _placed(chain, places.settlement),
        tuple(_placed(chain, vault) for vault in places.vaults),
        PERMIT2,
        terms,
        terms.digest(),
    )


def read_manifest(source: str, data: bytes) -> Manifest:
    """The manifest of a file; `source` is its name in errors.

    Raises:
        InvalidManifest: it has another form or version, or an address that is none.
    """
    try:
        manifest = from_json(data, Manifest, source)
        for name, address in _addresses(manifest):
            if account_id(address) != address:
                raise InvalidManifest(f"{source}.{name}", account_id(address), address)
    except MalformedRecord as error:
        raise InvalidManifest(error.subject, error.expected, error.got) from error
    except InvalidAccount as error:
        raise InvalidManifest(f"{source}, addresses", error.expected, error.got) from error
    if manifest.version != MANIFEST_VERSION:
        raise InvalidManifest(source, f"version {MANIFEST_VERSION}", manifest.version)
    terms, vaults = manifest.terms, len(manifest.vaults)
    if not 1 <= len(terms.vaults) == vaults <= VAULTS_MAX:
        expected = f"1 to {VAULTS_MAX} vaults, as many in its terms"
        raise InvalidManifest(source, expected, f"{vaults}, and {len(terms.vaults)}")
    if not KEYPERS_MIN <= len(terms.keypers) <= KEYPERS_MAX:
        expected = f"{KEYPERS_MIN} to {KEYPERS_MAX} keypers"
        raise InvalidManifest(f"{source}.terms", expected, len(terms.keypers))
    return manifest


def compare(chain: ReadableChain, manifest: Manifest) -> tuple[Check, ...]:
    """Compare a manifest with its own terms, with this package, and with a chain.

    Where code does not stand as it should, contracts are asked nothing. That a contract stands at
    an address that follows from the terms proves what it was created with.

    Raises:
        ChainUnavailable: the node does not answer, or answers nothing that can be used.
    """
    checks = [*_derived(manifest), *_standing(chain, manifest)]
    if all(check.ok for check in checks):
        checks += _told(chain, manifest)
    return tuple(checks)


def _derived(manifest: Manifest) -> list[Check]:
    """What follows from the terms alone."""
    places, terms = places_of(manifest.terms), manifest.terms
    pairs = {
        "digest of the terms": (hexadecimal(terms.digest()), hexadecimal(manifest.digest)),
        "address of the deployer": (DEPLOYER, manifest.deployer.address),
        "address of Permit2": (PERMIT2, manifest.permit2),
        "address of the blueprint": (places.blueprint, manifest.blueprint.address),
        "address of Settlement": (places.settlement, manifest.settlement.address),
        "addresses of the vaults": (
            ", ".join(places.vaults),
            ", ".join(vault.address for vault in manifest.vaults),
        ),
    }
    return [Check(name, *pair) for name, pair in pairs.items()]


def _standing(chain: ReadableChain, manifest: Manifest) -> list[Check]:
    """What stands on the chain, and whether it is what this package ships."""
    settlement = load_artifact("Settlement").runtime
    vault = load_artifact("CollateralVault").runtime
    shipped = {
        "the deployer": (manifest.deployer, DEPLOYER_CODE_HASH, None),
        "the blueprint": (manifest.blueprint, keccak(blueprint_code()), None),
        "Settlement": (manifest.settlement, keccak(settlement), len(settlement)),
    }
    for number, place in enumerate(manifest.vaults):
        shipped[f"vault {number}"] = (place, keccak(vault), len(vault))
    checks = [Check("chain id", str(manifest.chain_id), str(chain.chain_id()))]
    for name, (place, expected, length) in shipped.items():
        code = chain.code_of(place.address)
        # what a contract fixes at deployment stands behind its code
        checks.append(
            Check(f"code of {name}", hexadecimal(expected), hexadecimal(keccak(code[:length])))
        )
        whole = hexadecimal(place.code_hash), hexadecimal(keccak(code))
        checks.append(Check(f"code hash of {name}", *whole))
    return checks


def _told(chain: ReadableChain, manifest: Manifest) -> list[Check]:
    """What the contracts say of themselves."""
    terms, place = manifest.terms, manifest.settlement.address
    found = chain.deployment_at(place, manifest.block)
    checks = [Check("block", str(manifest.block), str(chain.deployed_in(place)))]
    if found.epoch == 1:
        checks += [
            Check("keypers", ", ".join(terms.keypers), ", ".join(found.keypers)),
            Check("key id", hexadecimal(terms.key_id), hexadecimal(found.key_id)),
            Check("circuits", hexadecimal(terms.circuits), hexadecimal(found.circuits)),
        ]
    for number, (vault, own) in enumerate(zip(manifest.vaults, terms.vaults, strict=True)):
        for name, expected in _fixed(manifest, own).items():
            got = chain.ask(Call("CollateralVault", vault.address, name))
            checks.append(Check(f"{name} of vault {number}", str(expected), str(got)))
    return checks


def _fixed(manifest: Manifest, own: VaultTerms) -> dict[str, object]:
    terms = manifest.terms
    return {
        "token": own.token,
        "settlement": manifest.settlement.address,
        "deposit_min": own.deposit_min,
        "accounts_max": own.accounts_max,
        "fund": terms.fund,
        "treasury": terms.treasury,
        "rescuer": terms.rescuer,
        "permit2": manifest.permit2,
    }


def _addresses(manifest: Manifest) -> list[tuple[str, AccountId]]:
    """All addresses of a manifest, with their names."""
    terms = manifest.terms
    placed = {"deployer": manifest.deployer, "blueprint": manifest.blueprint}
    placed |= {"settlement": manifest.settlement}
    placed |= {f"vaults[{number}]": one for number, one in enumerate(manifest.vaults)}
    found = [(f"{name}.address", one.address) for name, one in placed.items()]
    found += [(f"terms.keypers[{k}]", keyper) for k, keyper in enumerate(terms.keypers)]
    found += [(f"terms.vaults[{k}].token", one.token) for k, one in enumerate(terms.vaults)]
    parties = {"fund": terms.fund, "treasury": terms.treasury, "rescuer": terms.rescuer}
    return [*found, *((f"terms.{n}", a) for n, a in parties.items()), ("permit2", manifest.permit2)]


def _placed(chain: ReadableChain, address: AccountId) -> PlacedCode:
    return PlacedCode(address, keccak(chain.code_of(address)))
