# pragma version 0.4.3
# pragma evm-version cancun
# SPDX-License-Identifier: Apache-2.0
"""
@title Permit2 of tests
@notice Moves tokens once by their owner's signature, which names the spender, the amount, a nonce
        and what the spender is to do with them; as the published interface of Permit2 says.
"""

from ethereum.ercs import IERC20


struct TokenPermissions:
    token: address
    amount: uint256


struct PermitTransferFrom:
    permitted: TokenPermissions
    nonce: uint256
    deadline: uint256


struct SignatureTransferDetails:
    to: address
    requestedAmount: uint256


DOMAIN_TYPE_HASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,uint256 chainId,address verifyingContract)"
)
PERMISSIONS_TYPE_HASH: constant(bytes32) = keccak256(
    "TokenPermissions(address token,uint256 amount)"
)
TYPE_BEGINNING: constant(String[104]) = (
    "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,"
)

# a bit for each nonce: its word is nonce / 256
nonceBitmap: public(HashMap[address, HashMap[uint256, uint256]])


@external
def permitWitnessTransferFrom(
    permit: PermitTransferFrom,
    transferDetails: SignatureTransferDetails,
    owner: address,
    witness: bytes32,
    witnessTypeString: String[256],
    signature: Bytes[2048],
):
    assert block.timestamp <= permit.deadline, "expired"
    assert transferDetails.requestedAmount <= permit.permitted.amount, "amount"
    bit: uint256 = 1 << (permit.nonce % 256)
    used: uint256 = self.nonceBitmap[owner][permit.nonce // 256]
    assert used & bit == 0, "nonce"
    self.nonceBitmap[owner][permit.nonce // 256] = used | bit
    permissions: bytes32 = keccak256(
        abi_encode(PERMISSIONS_TYPE_HASH, permit.permitted.token, permit.permitted.amount)
    )
    struct_hash: bytes32 = keccak256(
        abi_encode(
            keccak256(concat(TYPE_BEGINNING, witnessTypeString)),
            permissions,
            msg.sender,
            permit.nonce,
            permit.deadline,
            witness,
        )
    )
    domain: bytes32 = keccak256(abi_encode(DOMAIN_TYPE_HASH, keccak256("Permit2"), chain.id, self))
    digest: bytes32 = keccak256(concat(0x1901, domain, struct_hash))
    r: uint256 = extract32(signature, 0, output_type=uint256)
    s: uint256 = extract32(signature, 32, output_type=uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    assert ecrecover(digest, v, r, s) == owner, "signer"
    assert extcall IERC20(permit.permitted.token).transferFrom(
        owner, transferDetails.to, transferDetails.requestedAmount, default_return_value=True
    )
