# pragma version 0.4.3
# pragma evm-version cancun
# SPDX-License-Identifier: Apache-2.0
"""
@title EIP-712 digests and their signers
@license Apache-2.0
@notice Digests of typed data under the domain of a venue, and who signed them.
@dev The domain is {name "darkpool", version "1", chainId, verifyingContract}, where the contract is
     Settlement, also for what its vaults check. The chain id is read at each call, so signatures
     lose their force on the other side of a chain split.
"""

SIGNATURE_BYTES: constant(uint256) = 65

# the longest signature that an ERC-1271 account can be asked about
ACCOUNT_SIGNATURE_BYTES_MAX: constant(uint256) = 2048

DOMAIN_TYPE_HASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
NAME_HASH: constant(bytes32) = keccak256("darkpool")
VERSION_HASH: constant(bytes32) = keccak256("1")

# half the order of secp256k1, rounded down: a larger s is the malleable twin (EIP-2)
S_MAX: constant(uint256) = (
    57896044618658097711785492504343953926418782139537452191302581570759080747168
)

# what isValidSignature returns for a valid signature (ERC-1271)
VALID_SIGNATURE: constant(bytes4) = 0x1626ba7e


interface IERC1271:
    def isValidSignature(
        digest: bytes32, signature: Bytes[ACCOUNT_SIGNATURE_BYTES_MAX]
    ) -> bytes4: view


struct EIP712Domain:
    fields: bytes1
    name: String[8]
    version: String[1]
    chainId: uint256
    verifyingContract: address
    salt: bytes32
    extensions: DynArray[uint256, 1]


@internal
@view
def _domain(verifying_contract: address) -> EIP712Domain:
    """
    @notice The domain, as ERC-5267 describes it.
    @param verifying_contract The address of Settlement.
    @return Name, version, chain id and contract.
    """
    return EIP712Domain(
        fields=0x0f,
        name="darkpool",
        version="1",
        chainId=chain.id,
        verifyingContract=verifying_contract,
        salt=empty(bytes32),
        extensions=[],
    )


@internal
@view
def _digest(struct_hash: bytes32, verifying_contract: address) -> bytes32:
    """
    @notice The 32 bytes that a signer signs.
    @param struct_hash EIP-712 hash of the struct.
    @param verifying_contract The address of Settlement.
    @return keccak256(0x1901 || domain separator || struct hash).
    """
    separator: bytes32 = keccak256(
        abi_encode(DOMAIN_TYPE_HASH, NAME_HASH, VERSION_HASH, chain.id, verifying_contract)
    )
    return keccak256(concat(0x1901, separator, struct_hash))


@internal
@pure
def _signer(digest: bytes32, signature: Bytes[SIGNATURE_BYTES]) -> address:
    """
    @notice The address that signed a digest.
    @dev Reverts with "signature length" unless it is 65 bytes, "signature s" when s lies in the
         upper half of the group order, "signature v" unless v is 27 or 28, and "signature" when no
         address follows from it.
    @param digest The 32 bytes that were signed.
    @param signature r || s || v.
    @return The signer, never the zero address.
    """
    assert len(signature) == SIGNATURE_BYTES, "signature length"
    r: uint256 = extract32(signature, 0, output_type=uint256)
    s: uint256 = extract32(signature, 32, output_type=uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    assert s <= S_MAX, "signature s"
    assert v == 27 or v == 28, "signature v"
    signer: address = ecrecover(digest, v, r, s)
    assert signer != empty(address), "signature"
    return signer


@internal
@view
def _check_account(
    account: address, digest: bytes32, signature: Bytes[ACCOUNT_SIGNATURE_BYTES_MAX]
):
    """
    @notice Check that an account signed: with its key, or as a contract by ERC-1271.
    @dev Reverts with "signer", or a reason of `_signer`.
    @param account Whose signature it has to be.
    @param digest The 32 bytes that were signed.
    @param signature r || s || v, or whatever the account's contract takes.
    """
    if account.is_contract:
        answer: bytes4 = staticcall IERC1271(account).isValidSignature(digest, signature)
        assert answer == VALID_SIGNATURE, "signer"
        return
    assert len(signature) == SIGNATURE_BYTES, "signature length"
    assert self._signer(digest, slice(signature, 0, SIGNATURE_BYTES)) == account, "signer"
