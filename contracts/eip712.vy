# pragma version 0.4.3
# pragma evm-version cancun
# SPDX-License-Identifier: Apache-2.0
"""
@title EIP-712 digests and their signers
@license Apache-2.0
@notice Digests of typed data under the domain of the contract that uses this module, and the
        address behind a signature.
@dev The domain is {name "darkpool", version "1", chainId, verifyingContract}. The chain id is read
     at each call, so signatures lose their force on the other side of a chain split.
"""

SIGNATURE_BYTES: constant(uint256) = 65

DOMAIN_TYPE_HASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
NAME_HASH: constant(bytes32) = keccak256("darkpool")
VERSION_HASH: constant(bytes32) = keccak256("1")

# half the order of secp256k1, rounded down: a larger s is the malleable twin (EIP-2)
S_MAX: constant(uint256) = (
    57896044618658097711785492504343953926418782139537452191302581570759080747168
)


@internal
@view
def _digest(struct_hash: bytes32) -> bytes32:
    """
    @notice The 32 bytes that a signer signs.
    @param struct_hash EIP-712 hash of the struct.
    @return keccak256(0x1901 || domain separator || struct hash).
    """
    separator: bytes32 = keccak256(
        abi_encode(DOMAIN_TYPE_HASH, NAME_HASH, VERSION_HASH, chain.id, self)
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
