"""What can go wrong between this program and a chain."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from darkpool.errors import BadInput, DarkpoolError, shortened
from darkpool.verification.errors import Unanswered

REASON_SHOWN_MAX: Final = 200
"""Characters of what a node said that a message repeats."""

_NO_ADDRESS: Final = "..."
"""In the place of an address that is none: nothing of it is worth showing."""


class ChainError(DarkpoolError):
    """Something between this program and the chain went wrong."""


class ChainUnavailable(ChainError, Unanswered):
    """The node cannot be reached, or does not answer as a node.

    Of an address only scheme, host and port are kept: user info, path and query may be credentials,
    and client libraries quote them in their reasons.
    """

    code = "chain-unavailable"

    def __init__(self, node: str, reason: str) -> None:
        self.node = _without_credentials(node)
        self.reason = shortened(_reason_without_credentials(node, reason), REASON_SHOWN_MAX)
        super().__init__("chain", f"an answer from {self.node}", self.reason)


class NodeBusy(ChainUnavailable):
    """The node refuses for now, or the connection was lost: the same request may be made again.

    `retry_after_s` is how long the node asks to wait; `refused` says that the request did not
    reach any node.
    """

    code = "node-busy"

    def __init__(
        self, node: str, reason: str, retry_after_s: int = 0, *, refused: bool = False
    ) -> None:
        super().__init__(node, reason)
        self.retry_after_s, self.refused = retry_after_s, refused


class AnswerTooLarge(ChainUnavailable):
    """The node has more to say than it, or this program, lets through at once."""

    code = "answer-too-large"


class BeaconUnavailable(ChainUnavailable):
    """A beacon node cannot be reached, or does not answer as one."""

    code = "beacon-unavailable"


class DeploymentTaken(ChainError):
    """Other code stands where a contract of these terms would be."""

    code = "deployment-taken"


class InvalidManifest(BadInput):
    """A file that is no manifest of a deployment; `subject` names the file and the part."""

    code = "invalid-manifest"


class ManifestDiffers(ChainError):
    """What a manifest says of a venue is not what follows from its terms, or not on the chain."""

    code = "manifest-differs"
    prefix = "manifest, "


def _without_credentials(node: str) -> str:
    if "://" not in node:
        return node
    try:
        parts = urlsplit(node)
    except ValueError:
        return _NO_ADDRESS
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _reason_without_credentials(node: str, reason: str) -> str:
    if _without_credentials(node) == _NO_ADDRESS:
        return "no address"
    # requests: "for url: https://...", urllib3: "with url: /path?query"; a node may have said one
    # word of megabytes, which is gone through once
    shown = re.sub(
        r"(?<!\w)\w++://[^\s'\"<>]+", lambda found: _without_credentials(found[0]), reason
    )
    shown = re.sub(r"url: /\S*", "url: /...", shown)
    if "://" in node:
        parts = urlsplit(node)
        userinfo = parts.netloc.rpartition("@")[0]
        for secret in (userinfo, parts.username, parts.password, parts.path, parts.query):
            if secret and len(secret) > 1:
                shown = shown.replace(secret, "...")
    return shown


class NotDeployed(ChainError):
    """The contracts were asked for before they were deployed or attached."""

    code = "not-deployed"

    def __init__(self) -> None:
        super().__init__("chain", "deployed contracts", "none")


class WrongDeployment(ChainError):
    """What stands on the chain is not the deployment that was named."""

    code = "wrong-deployment"
    prefix = "chain: "


def require_same(what: str, expected: object, got: object) -> None:
    """Check what a deployment says against what stands on the chain.

    Raises:
        WrongDeployment: they differ.
    """
    if got != expected:
        raise WrongDeployment(what, expected, got)


class SettledOtherwise(ChainError):
    """An interval has settled, and not with the roots that were to be settled."""

    code = "settled-otherwise"
    prefix = "chain: "


class SettlementUnsigned(ChainError):
    """No quorum of the committee signed what is to be sent, for the batch that is open."""

    code = "settlement-unsigned"
    prefix = "settlement, "


class NoSettlement(BadInput):
    """What is to be sent is no settlement of its interval; `subject` names the part."""

    code = "no-settlement"
    prefix = "settlement, "


class TransactionReverted(ChainError):
    """A contract refused a transaction; `reason` is what the contract's page lists."""

    code = "transaction-reverted"

    def __init__(self, function: str, reason: str) -> None:
        self.function, self.reason = function, shortened(reason, REASON_SHOWN_MAX)
        super().__init__(f"chain: {function}", "success", f"a revert: {self.reason}")


class TransactionRefused(ChainError):
    """The node did not take a transaction: no money for gas, for instance."""

    code = "transaction-refused"

    def __init__(self, function: str, reason: str) -> None:
        shown = shortened(reason, REASON_SHOWN_MAX)
        super().__init__(f"chain: {function}", "the node to take it", shown)


class TransactionTooLarge(TransactionRefused):
    """A transaction needs more gas than a block of the chain has."""

    code = "transaction-too-large"

    def __init__(self, function: str, block_gas: int, gas: int) -> None:
        super().__init__(function, f"it needs {gas} gas, and a block has {block_gas}")


class ChainTooOld(ChainError):
    """The chain's machine lacks instructions that the contracts are made of."""

    code = "chain-too-old"

    def __init__(self, node: str, reason: str) -> None:
        expected = f"{_without_credentials(node)} to have the Cancun upgrade (March 2024)"
        got = _reason_without_credentials(node, reason)
        super().__init__("chain: instructions of the contracts", expected, shortened(got))


class TransactionLost(ChainError):
    """A transaction is in no block any more, and no node takes it again: the chain reorganised."""

    code = "transaction-lost"

    def __init__(self, transaction: str, block: int) -> None:
        super().__init__("chain", f"transaction {transaction} in block {block}", "none")


class NotFinal(ChainError):
    """A block is not final yet; `what` is in it."""

    code = "not-final"

    def __init__(self, what: str, block: int, last_final: int) -> None:
        self.block, self.last_final = block, last_final
        got = f"the last one is {last_final}"
        super().__init__("chain", f"block {block} with {what} among final blocks", got)


class NotFinalInTime(NotFinal):
    """A block did not become final in the time that it was given."""

    code = "not-final-in-time"


class BlockReplaced(ChainError):
    """Another block has the place of one that was seen: the chain reorganised."""

    code = "block-replaced"

    def __init__(self, block: int, expected: bytes, got: bytes) -> None:
        super().__init__(f"chain: hash of block {block}", expected, got or "no such block")


class DisagreeingNodes(ChainError):
    """Two nodes give different answers to a question that has one; each is a node and its value."""

    code = "disagreeing-nodes"

    def __init__(self, question: str, first: tuple[str, str], second: tuple[str, str]) -> None:
        expected, got = (
            f"{shortened(value, REASON_SHOWN_MAX)} from {_without_credentials(node)}"
            for node, value in (first, second)
        )
        super().__init__(f"chain: {question}", f"the same of all nodes, {expected}", got)


class NotApproved(ChainError):
    """A token did not let a vault take what its owner approved."""

    code = "not-approved"

    def __init__(self, token: str, expected: int, got: int) -> None:
        super().__init__(f"chain: what token {token} lets the vault take", expected, got)
