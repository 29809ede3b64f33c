import re
from dataclasses import fields, replace
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.errors import InvalidMessageField, InvalidSignature, MalformedKey, OutOfRange
from crypto.signing.ecdsa import (
    SECP256K1_ORDER,
    address_of,
    recover_address,
    sign,
    verify_signature,
)
from crypto.signing.eip712 import Domain, TypedMessage
from crypto.signing.messages import (
    AdmissionCertificate,
    Cancellation,
    CancellationReceipt,
    Intent,
    ReferencePrice,
    SealedIntent,
    commitment,
    instrument_id,
)
from crypto.signing.settling import BatchRoot, Claim, Closing, Rotation, Settlement, TakeBack, Tree

MESSAGES: tuple[type[TypedMessage], ...] = (
    Intent,
    SealedIntent,
    Cancellation,
    AdmissionCertificate,
    CancellationReceipt,
    ReferencePrice,
    BatchRoot,
    Settlement,
    Closing,
    Rotation,
    Claim,
    TakeBack,
)
DOMAIN = Domain(31337, bytes(range(20)))
INTENT = Intent(b"\1" * 20, b"\2" * 32, 7, 1, 25, 100, 3, b"\4" * 32, b"\5" * 32)
REFERENCE = ReferencePrice(b"\2" * 32, 7, -37_630_000, 10_000, 1024, 1_900_000_000_000)
KEY = b"\7" * 32


def declared_fields(message: type[TypedMessage]) -> list[tuple[str, str]]:
    inside = re.match(r"\w+\((.*?)\)", message.ENCODE_TYPE)
    assert inside is not None
    pairs = [declaration.split(" ") for declaration in inside[1].split(",")]
    return [(solidity, name) for solidity, name in pairs]


def values_of(solidity: str) -> st.SearchStrategy[Any]:
    if solidity.endswith("[]"):
        return st.lists(values_of(solidity[:-2]), max_size=3).map(tuple)
    if solidity == "Tree":
        return st.builds(Tree, *[values_of(kind) for kind, _ in declared_fields(Tree)])
    if solidity.startswith("uint"):
        return st.integers(0, 2 ** int(solidity[4:]) - 1)
    if solidity.startswith("int"):
        half = 2 ** (int(solidity[3:]) - 1)
        return st.integers(-half, half - 1)
    if solidity == "bool":
        return st.booleans()
    width = {"address": 20, "bytes32": 32}[solidity]
    return st.binary(min_size=width, max_size=width)


@st.composite
def messages(draw: st.DrawFn) -> TypedMessage:
    kind = draw(st.sampled_from(MESSAGES))
    return kind(*[draw(values_of(solidity)) for solidity, _ in declared_fields(kind)])


domains = st.builds(Domain, st.integers(0, 2**256 - 1), st.binary(min_size=20, max_size=20))


def told(value: object) -> object:
    """A value as eth_account takes it."""
    if isinstance(value, tuple):
        return [told(one) for one in value]
    if isinstance(value, TypedMessage):
        return told_fields(value)
    return value


def told_fields(message: TypedMessage) -> dict[str, object]:
    declared = declared_fields(type(message))
    assert [name for _, name in declared] == [
        re.sub("_(.)", lambda letter: letter[1].upper(), field.name) for field in fields(message)
    ]
    values = [told(getattr(message, field.name)) for field in fields(message)]
    return {name: v for (_, name), v in zip(declared, values, strict=True)}


def eth_type(message: type[TypedMessage]) -> list[dict[str, str]]:
    return [{"name": name, "type": solidity} for solidity, name in declared_fields(message)]


def digest_of_eth_account(message: TypedMessage, domain: Domain) -> bytes:
    kinds = [type(message), *([Tree] if "Tree[]" in message.ENCODE_TYPE else [])]
    signable = encode_typed_data(
        domain_data={
            "name": "darkpool",
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": domain.verifying_contract,
        },
        message_types={kind.__name__: eth_type(kind) for kind in kinds},
        message_data=told_fields(message),
    )
    return bytes(_hash_eip191_message(signable))


@settings(max_examples=75, deadline=None)
@given(message=messages(), domain=domains)
def test_digests_are_those_of_eth_account(message: TypedMessage, domain: Domain) -> None:
    assert message.digest(domain) == digest_of_eth_account(message, domain)


@pytest.mark.parametrize("price", [-(2**127), -37_630_000, -1, 0, 1, 2**127 - 1])
def test_signed_numbers_are_those_of_eth_account(price: int) -> None:
    message = replace(REFERENCE, price=price)
    assert message.digest(DOMAIN) == digest_of_eth_account(message, DOMAIN)


@pytest.mark.parametrize("price", [-(2**127) - 1, 2**127, b"\0" * 32])
def test_signed_numbers_that_do_not_fit_are_refused(price: Any) -> None:
    with pytest.raises(InvalidMessageField, match="price: expected int of 128"):
        replace(REFERENCE, price=price).digest(DOMAIN)


@given(key=st.integers(1, SECP256K1_ORDER - 1), digest=st.binary(min_size=32, max_size=32))
@settings(max_examples=30, deadline=None)
def test_signatures_are_those_of_eth_account(key: int, digest: bytes) -> None:
    private_key = key.to_bytes(32, "big")
    account = Account.from_key(private_key)
    assert address_of(private_key) == bytes.fromhex(account.address[2:])
    signature = sign(digest, private_key)
    assert signature == bytes(account.unsafe_sign_hash(digest).signature)
    verify_signature(digest, signature, address_of(private_key))


@pytest.mark.parametrize(
    "other", [Domain(1, DOMAIN.verifying_contract), Domain(31337, b"\xff" * 20)]
)
def test_a_signature_for_another_chain_or_contract_is_refused(other: Domain) -> None:
    signature = sign(INTENT.digest(other), KEY)
    with pytest.raises(InvalidSignature, match="signer"):
        verify_signature(INTENT.digest(DOMAIN), signature, address_of(KEY))


def test_the_malleable_twin_of_a_signature_is_refused() -> None:
    digest = INTENT.digest(DOMAIN)
    signature = sign(digest, KEY)
    s = SECP256K1_ORDER - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
    with pytest.raises(InvalidSignature, match="half the group order"):
        verify_signature(digest, twin, address_of(KEY))


@pytest.mark.parametrize(
    ("signature", "match"),
    [
        (b"", "length"),
        (b"\1" * 64, "length"),
        (b"\1" * 66, "length"),
        (b"\1" * 64 + b"\0", "recovery value"),
        (b"\1" * 64 + b"\x1d", "recovery value"),
        (b"\1" * 32 + bytes(32) + b"\x1b", "s: expected"),
        (bytes(32) + b"\1" * 32 + b"\x1b", "point"),
        (b"\xff" * 32 + b"\1" * 32 + b"\x1b", "point"),
    ],
)
def test_malformed_signatures_are_refused(signature: bytes, match: str) -> None:
    with pytest.raises(InvalidSignature, match=match):
        recover_address(INTENT.digest(DOMAIN), signature)


NO_KEYS = [b"", b"\1" * 31, b"\1" * 33, bytes(32), b"\xff" * 32, "11" * 32, 7, None]


@pytest.mark.parametrize("key", NO_KEYS)
def test_what_is_no_private_key_is_refused_and_not_told(key: Any) -> None:
    told = "private key: expected 32 bytes"
    with pytest.raises(MalformedKey, match=told) as of_address:
        address_of(key)
    with pytest.raises(MalformedKey, match=told) as of_signature:
        sign(bytes(32), key)
    for caught in (of_address, of_signature):
        assert "1111" not in str(caught.value)
        assert "ff" not in str(caught.value)


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(33), "00" * 32, None])
def test_what_is_no_digest_is_not_signed(digest: Any) -> None:
    with pytest.raises(OutOfRange, match="digest: expected 32 bytes"):
        sign(digest, b"\1" * 32)


def test_nobody_signs_for_the_zero_address() -> None:
    digest = INTENT.digest(DOMAIN)
    with pytest.raises(InvalidSignature, match="signer"):
        verify_signature(digest, sign(digest, KEY), bytes(20))


@pytest.mark.parametrize("field", [field.name for field in fields(Intent)])
def test_every_field_of_an_intent_is_committed_to(field: str) -> None:
    value = getattr(INTENT, field)
    other = value + 1 if isinstance(value, int) else bytes(len(value))
    changes: dict[str, Any] = {field: other}
    assert commitment(replace(INTENT, **changes), DOMAIN) != commitment(INTENT, DOMAIN)


@pytest.mark.parametrize(
    ("field", "value"),
    [("size", -1), ("size", 2**64), ("side", 256), ("account", b"\1" * 32), ("salt", 5)],
)
def test_fields_that_do_not_fit_their_type_are_refused(field: str, value: int | bytes) -> None:
    changes: dict[str, Any] = {field: value}
    with pytest.raises(InvalidMessageField, match=field):
        commitment(replace(INTENT, **changes), DOMAIN)


def test_instruments_are_known_by_the_hash_of_their_name() -> None:
    empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert instrument_id("").hex() == empty
    assert instrument_id("ES-202512") != instrument_id("ES-202603")
