"""A settlement that no block took: what any account may still send, on the disk."""

from __future__ import annotations

import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from darkpool.auction.outcome import Settlement
from darkpool.canonical_json import from_json, to_json
from darkpool.chain.errors import ChainError
from darkpool.chain.evidence import ContractCall
from darkpool.chain.settling import KeptSettlement
from darkpool.durable import sync_folder, writing
from darkpool.errors import InvalidAccount, MalformedRecord
from darkpool.simulation.errors import InvalidSettlementFile, NotSettled
from darkpool.units import AccountId, Interval, account_id

UNSENT_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class UnsentSettlement:
    """The file of a settlement: `data` is to be sent to `contract` on the chain of this number.

    `leaves` have to be published there before.
    """

    version: int
    interval: Interval
    chain_id: int
    contract: AccountId
    leaves: bytes
    data: bytes


def read_unsent(source: str, data: bytes) -> KeptSettlement:
    """The settlement of a file that `require_settled` wrote; `source` is its name in errors.

    Raises:
        InvalidSettlementFile: it has another form or version, or names no contract.
        NoSettlement: what is to be sent is no settlement of its interval.
    """
    try:
        unsent = from_json(data, UnsentSettlement, source)
        contract = account_id(unsent.contract)
    except MalformedRecord as error:
        raise InvalidSettlementFile(error.subject, error.expected, error.got) from error
    except InvalidAccount as error:
        raise InvalidSettlementFile(f"{source}.contract", error.expected, error.got) from error
    if unsent.version != UNSENT_VERSION:
        raise InvalidSettlementFile(source, f"version {UNSENT_VERSION}", unsent.version)
    call = ContractCall(unsent.chain_id, contract, unsent.data)
    return KeptSettlement.of(unsent.interval, call, unsent.leaves)


def require_settled(interval: Interval, settlement: Settlement, record: Path | None) -> None:
    """Keep a settlement that is not final, so that the batch is not lost with the node.

    Its file is new and durable. It lies beside the record, or in the working folder if there is
    none; where that folder cannot be written, in the one for temporary files.

    Raises:
        NotSettled: no block has it for good; names the file.
        UnwritableFolder: no folder takes the file.
    """
    failure, call = settlement.transaction, settlement.call
    if not isinstance(failure, ChainError):
        return
    stem = Path("darkpool") if record is None else record
    name = f"{stem.name}.settlement-{secrets.token_hex(4)}.json"
    unsent = UnsentSettlement(
        UNSENT_VERSION, interval, call.chain_id, call.contract, settlement.leaves, call.data
    )
    try:
        path = _written(stem.with_name(name), unsent)
    except OSError:
        temporary = Path(tempfile.gettempdir())
        with writing(temporary):
            path = _written(temporary / name, unsent)
    raise NotSettled(str(failure), path, record) from failure


def _written(place: Path, unsent: UnsentSettlement) -> Path:
    """Where it is now; nothing is left there if the system refuses."""
    path = place.absolute()
    try:
        with path.open("xb") as file:
            file.write(to_json(unsent))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path
