"""Deployment files: the terms that a venue's contracts fix for ever, as people write them."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from darkpool.chain.deploying import (
    ACCOUNTS_MAX,
    DEPOSIT_MAX,
    KEYPERS_MAX,
    KEYPERS_MIN,
    SEATS_MAX,
    VAULTS_MAX,
    ContractTerms,
    VaultTerms,
)
from darkpool.errors import InvalidAccount
from darkpool.margin.market.forms import (
    Form,
    Text,
    Version,
    entries,
    parsed_json,
    require_once,
    validated,
    wrong,
)
from darkpool.units import NUMBER_MAX, AccountId, account_id, account_of

_NOBODY: Final = account_of(bytes(20))
_DIGEST: Final = re.compile(r"0x[0-9a-fA-F]{64}")


def _address(text: str) -> AccountId:
    try:
        account = account_id(text)
    except InvalidAccount as error:
        raise wrong(str(error.expected), text) from None
    if account == _NOBODY:
        raise wrong("an address that is not zero", text)
    return account


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise wrong("0x and 64 hexadecimal digits", text)
    return text


Address = Annotated[Text, AfterValidator(_address)]
Digest = Annotated[Text, AfterValidator(_digest)]


class VaultForm(Form):
    """A vault: its token, the least deposit in token units, and how many accounts it takes."""

    token: Address
    deposit_min: Annotated[int, Field(strict=True, ge=1, le=DEPOSIT_MAX)]
    accounts_max: Annotated[int, Field(strict=True, ge=1, le=ACCOUNTS_MAX)]


class DeploymentForm(Form):
    """The file as a whole; the first vault is that of cash."""

    version: Version
    keypers: Annotated[
        tuple[Address, ...],
        Field(min_length=KEYPERS_MIN, max_length=KEYPERS_MAX),
        entries(Address, KEYPERS_MAX),
    ]
    key_id: Digest
    circuits: Digest
    vaults: Annotated[
        tuple[VaultForm, ...],
        Field(min_length=1, max_length=VAULTS_MAX),
        entries(VaultForm, VAULTS_MAX),
    ]
    fund: Address
    treasury: Address
    rescuer: Address
    salt: Annotated[int, Field(strict=True, ge=0, le=NUMBER_MAX)] = 0

    @model_validator(mode="after")
    def _can_be_a_venue(self) -> Self:
        keypers = enumerate(self.keypers)
        require_once("keyper", [(one, ("keypers", number)) for number, one in keypers])
        vaults = enumerate(self.vaults)
        require_once("token", [(one.token, ("vaults", k, "token")) for k, one in vaults])
        seats = sum(one.accounts_max for one in self.vaults)
        if seats > SEATS_MAX:
            raise wrong(f"accounts_max of all vaults together at most {SEATS_MAX}", seats, "vaults")
        return self


def read_deployment(source: str, text: str) -> ContractTerms:
    """The terms of a deployment file; `source` is its name in errors.

    Raises:
        InvalidFile: no JSON, or terms that no venue can have.
    """
    form = validated(DeploymentForm, source, parsed_json(source, text))
    return ContractTerms(
        tuple(map(AccountId, form.keypers)),
        bytes.fromhex(form.key_id[2:]),
        bytes.fromhex(form.circuits[2:]),
        tuple(VaultTerms(AccountId(v.token), v.deposit_min, v.accounts_max) for v in form.vaults),
        AccountId(form.fund),
        AccountId(form.treasury),
        AccountId(form.rescuer),
        form.salt,
    )
