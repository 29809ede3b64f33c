"""The forms that a node's answers have to have, checked before anything is read out of them.

Only the fields that this project reads are kept. Numbers and bytes stay the hexadecimal text that
JSON-RPC writes them as; their sizes are bounded here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from darkpool.chain.errors import ChainUnavailable
from darkpool.errors import shortened

_SHOWN_MAX: Final = 60
_READ_MAX_BYTES: Final = 1000
_ENCODER: Final = json.JSONEncoder()

Number = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{1,64}$")]
SmallNumber = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{1,16}$")]
Octets = Annotated[str, StringConstraints(pattern=r"^0x([0-9a-fA-F]{2})*$")]
Hash = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{64}$")]
Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
_Entry = TypeVar("_Entry")
Several = Annotated[list[_Entry], FailFast()]
"""A list that is refused at its first wrong entry: to tell all of millions takes gigabytes."""


class _Form(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class _Log(_Form):
    """An event of a contract."""

    address: Address
    topics: Annotated[Several[Hash], Field(max_length=4)]
    data: Octets
    block_number: SmallNumber
    block_hash: Hash
    transaction_hash: Hash
    transaction_index: SmallNumber
    log_index: SmallNumber


class _Receipt(_Form):
    """What came of a transaction that is in a block."""

    transaction_hash: Hash
    block_number: SmallNumber
    block_hash: Hash
    gas_used: SmallNumber
    status: SmallNumber
    contract_address: Address | None = None


class _Transaction(_Form):
    """A transaction that the node knows."""

    hash: Hash
    sender: Annotated[Address, Field(alias="from")]
    nonce: SmallNumber


class _Block(_Form):
    """The head of a block, and its transactions or their hashes."""

    number: SmallNumber
    hash: Hash
    timestamp: SmallNumber
    gas_limit: SmallNumber
    base_fee_per_gas: Number | None = None
    transactions: Several[_Transaction | Hash]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the answer to a method has to be, in words and as a type."""

    words: str
    adapter: TypeAdapter[Any]


_NUMBER: Final = _Answer("a number", TypeAdapter(Number))
_SMALL: Final = _Answer("a number of at most 64 bits", TypeAdapter(SmallNumber))
_OCTETS: Final = _Answer("bytes", TypeAdapter(Octets))
_HASH: Final = _Answer("32 bytes", TypeAdapter(Hash))
_ANSWERS: Final = {
    "eth_accounts": _Answer("a list of addresses", TypeAdapter(Several[Address])),
    "eth_blockNumber": _SMALL,
    "eth_call": _OCTETS,
    "eth_chainId": _SMALL,
    "eth_estimateGas": _SMALL,
    "eth_gasPrice": _NUMBER,
    "eth_getBlockByNumber": _Answer("a block", TypeAdapter(_Block | None)),
    "eth_getCode": _OCTETS,
    "eth_getLogs": _Answer("a list of events", TypeAdapter(Several[_Log])),
    "eth_getTransactionByHash": _Answer("a transaction", TypeAdapter(_Transaction | None)),
    "eth_getTransactionCount": _SMALL,
    "eth_getTransactionReceipt": _Answer("a receipt", TypeAdapter(_Receipt | None)),
    "eth_maxPriorityFeePerGas": _NUMBER,
    "eth_sendRawTransaction": _HASH,
    "eth_sendTransaction": _HASH,
}


class Refusal(BaseModel):
    """The error of a JSON-RPC answer."""

    code: Annotated[int, Field(strict=True, ge=-(1 << 31), lt=1 << 31)]
    message: Annotated[str, Field(strict=True)]
    data: Any = None


def read_answer(node: str, request: tuple[str, object], told: str, body: bytes) -> object | Refusal:
    """Read the answer to a request, a method and a number: its result, or the node's error.

    `told` is what the message of an error begins with.

    Raises:
        ChainUnavailable: no JSON, no JSON-RPC 2.0, the answer to another request, or a result that
            is not what the method gives.
    """
    method, number = request
    try:
        # unlike json's, it refuses what is nested too deep before the stack ends
        answer = from_json(body, allow_inf_nan=False)
    except ValueError:
        shown = _shown(body[:_READ_MAX_BYTES].decode("utf-8", "replace"))
        raise ChainUnavailable(node, f"{told}no JSON: {shown}") from None
    if not isinstance(answer, dict) or ("result" in answer) == ("error" in answer):
        raise ChainUnavailable(node, f"{told}no JSON-RPC: {_shown(answer)}")
    refusal = answer.get("error")
    # an error may come before the node has understood which request it is for
    if answer.get("id") != number and not (refusal is not None and answer.get("id") is None):
        got = f"the answer to request {_shown(answer.get('id'))} instead of {number}"
        raise ChainUnavailable(node, told + got)
    try:
        return (
            _result(method, answer["result"])
            if "result" in answer
            else Refusal.model_validate(refusal)
        )
    except ValidationError:
        shown = _shown(answer.get("result", refusal))
        words = "a JSON-RPC error" if "error" in answer else _ANSWERS[method].words
        raise ChainUnavailable(node, f"{told}for {method} {shown} instead of {words}") from None


def _result(method: str, result: object) -> object:
    expected = _ANSWERS.get(method)
    if expected is None:
        return result
    read = expected.adapter.validate_python(result)
    return expected.adapter.dump_python(read, by_alias=True, exclude_unset=True)


def _shown(value: object) -> str:
    """The beginning of a value, of which no more than that is written."""
    pieces = [value] if isinstance(value, str) else islice(_ENCODER.iterencode(value), _SHOWN_MAX)
    text = "".join(piece[:_READ_MAX_BYTES] for piece in pieces)
    return shortened(" ".join(text.split()), _SHOWN_MAX) or "nothing"
