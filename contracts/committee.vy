# pragma version 0.4.3
# pragma evm-version cancun
# SPDX-License-Identifier: Apache-2.0
"""
@title The committee of a venue
@license Apache-2.0
@notice Who the keypers are, what a quorum of them is, who of them is excluded, and who comes next.
@dev A keyper that signed two different statements where there can be one is excluded: from the next
     commitment on its signatures are skipped. They do not revert, and an open batch still settles
     with them, so no keyper stops a settlement by incriminating itself. The quorum never falls.
"""

import eip712


struct Statement:
    words: DynArray[bytes32, WORDS_MAX]
    signature: Bytes[eip712.SIGNATURE_BYTES]


event Excluded:
    keyper: indexed(address)
    type_hash: indexed(bytes32)
    subject: uint256
    first: bytes32
    second: bytes32


event RotationAnnounced:
    epoch: indexed(uint64)
    next: DynArray[address, KEYPERS_MAX]
    key_id: bytes32
    circuits: bytes32
    active_from: uint256


event CommitteeChanged:
    epoch: indexed(uint64)
    keypers: DynArray[address, KEYPERS_MAX]
    key_id: bytes32
    circuits: bytes32


KEYPERS_MIN: constant(uint256) = 4
KEYPERS_MAX: constant(uint256) = 16
SIGNATURES_BYTES_MAX: constant(uint256) = eip712.SIGNATURE_BYTES * KEYPERS_MAX

# what stands before the items when a list alone is ABI-encoded: its offset and its length
ARRAY_HEAD_BYTES: constant(uint256) = 64

# words of the longest statement
WORDS_MAX: constant(uint256) = 13

# seconds from the announcement of a rotation to its first moment: a week, a day and an hour, in
# which an account that does not trust the next committee can have left
ROTATION_DELAY: constant(uint256) = 8 * 86_400 + 3_600

ROTATION_TYPE_HASH: constant(bytes32) = keccak256(
    "Rotation(uint64 epoch,bytes32 previousCommittee,address[] next,bytes32 keyId,bytes32 circuits)"
)

# number of each keyper of the committee, from 1; 0 for all other addresses
number_of: public(HashMap[address, uint256])

# counts committees, from 1
epoch: public(uint64)

# digests of the committee's encryption keys and of the circuits that they serve
key_id: public(bytes32)
circuits: public(bytes32)

keypers: DynArray[address, KEYPERS_MAX]

# bit i - 1 of each stands for keyper number i: excluded now, and at the last commitment
excluded: uint128
barred: uint128

next_keypers: DynArray[address, KEYPERS_MAX]
next_key_id: bytes32
next_circuits: bytes32
next_active_from: uint256


@internal
def _appoint(members: DynArray[address, KEYPERS_MAX], key_id: bytes32, circuits: bytes32):
    """
    @notice Make addresses the committee, in place of the one before.
    @param members Addresses of the keypers' signing keys, in the order of their numbers; they were
           checked by `_check_members`.
    @param key_id Digest of the committee's public encryption keys.
    @param circuits Digest of the circuits that the keys serve.
    """
    for keyper: address in self.keypers:
        self.number_of[keyper] = 0
    number: uint256 = 0
    for keyper: address in members:
        number += 1
        self.number_of[keyper] = number
    self.keypers = members
    self.key_id = key_id
    self.circuits = circuits
    self.epoch += 1
    self.excluded = 0
    self.barred = 0
    log CommitteeChanged(epoch=self.epoch, keypers=members, key_id=key_id, circuits=circuits)


@internal
@pure
def _check_members(members: DynArray[address, KEYPERS_MAX]):
    """
    @notice Check that addresses can be a committee.
    @dev Reverts with "committee size", "zero address" or "keyper twice".
    @param members Addresses of the keypers' signing keys, in the order of their numbers.
    """
    assert len(members) >= KEYPERS_MIN, "committee size"
    for i: uint256 in range(len(members), bound=KEYPERS_MAX):
        assert members[i] != empty(address), "zero address"
        for j: uint256 in range(i, bound=KEYPERS_MAX):
            assert members[i] != members[j], "keyper twice"


@internal
@view
def _quorum() -> uint256:
    """
    @notice How many keypers have to sign: the least number above (n + 1) / 2.
    @return Signatures.
    """
    return (len(self.keypers) + 1) // 2 + 1


@internal
@view
def _check_quorum(
    struct_hash: bytes32, signatures: Bytes[SIGNATURES_BYTES_MAX], skipped: uint128
) -> uint256:
    """
    @notice Check that a quorum of different keypers signed.
    @dev Reverts with "not a keyper", "keyper twice", "quorum", or a reason of the signature check.
    @param struct_hash EIP-712 hash of what was signed.
    @param signatures 65 bytes each, in any order.
    @param skipped Keypers that do not count, as a bit set.
    @return The signers that count as a bit set: bit i - 1 for keyper number i.
    """
    assert len(signatures) % eip712.SIGNATURE_BYTES == 0, "signature length"
    digest: bytes32 = eip712._digest(struct_hash, self)
    seen: uint256 = 0
    counted: uint256 = 0
    for i: uint256 in range(len(signatures) // eip712.SIGNATURE_BYTES, bound=KEYPERS_MAX):
        signature: Bytes[eip712.SIGNATURE_BYTES] = slice(
            signatures, i * eip712.SIGNATURE_BYTES, eip712.SIGNATURE_BYTES
        )
        number: uint256 = self.number_of[eip712._signer(digest, signature)]
        assert number != 0, "not a keyper"
        member: uint256 = 1 << (number - 1)
        assert seen & member == 0, "keyper twice"
        seen |= member
        if convert(skipped, uint256) & member == 0:
            counted += 1
    assert counted >= self._quorum(), "quorum"
    return seen & ~convert(skipped, uint256)


@internal
def _bar():
    """
    @notice From now on skip the signatures of all that are excluded by now.
    """
    if self.barred != self.excluded:
        self.barred = self.excluded


@internal
def _exclude(type_hash: bytes32, length: uint256, first: Statement, second: Statement):
    """
    @notice Exclude a keyper that signed two different statements about one subject.
    @dev Reverts with "statement length", "two subjects", "same statement", "two signers", "not a
         keyper", or a reason of the signature check. What is shown a second time changes nothing.
    @param type_hash EIP-712 type of both statements.
    @param length Words of a statement of this type.
    @param first One statement: its fields as EIP-712 encodes them, the first of which is what it is
           about, and its signature.
    @param second Another.
    """
    assert len(first.words) == length and len(second.words) == length, "statement length"
    assert first.words[0] == second.words[0], "two subjects"
    first_hash: bytes32 = self._statement_hash(type_hash, first.words)
    second_hash: bytes32 = self._statement_hash(type_hash, second.words)
    assert first_hash != second_hash, "same statement"
    keyper: address = eip712._signer(eip712._digest(first_hash, self), first.signature)
    other: address = eip712._signer(eip712._digest(second_hash, self), second.signature)
    assert keyper == other, "two signers"
    number: uint256 = self.number_of[keyper]
    assert number != 0, "not a keyper"
    self.excluded |= convert(1 << (number - 1), uint128)
    log Excluded(
        keyper=keyper,
        type_hash=type_hash,
        subject=convert(first.words[0], uint256),
        first=first_hash,
        second=second_hash,
    )


@internal
@pure
def _statement_hash(type_hash: bytes32, words: DynArray[bytes32, WORDS_MAX]) -> bytes32:
    """
    @notice EIP-712 hash of a statement that is given by its encoded fields.
    @param type_hash Its type.
    @param words Its fields, each of which is one word.
    @return The struct hash.
    """
    encoded: Bytes[32 * (WORDS_MAX + 2)] = abi_encode(words)
    return keccak256(
        concat(type_hash, slice(encoded, ARRAY_HEAD_BYTES, 32 * len(words)))
    )


@internal
def _announce(
    epoch: uint64,
    next: DynArray[address, KEYPERS_MAX],
    key_id: bytes32,
    circuits: bytes32,
    signatures: Bytes[SIGNATURES_BYTES_MAX],
):
    """
    @notice Take note of the committee that comes next.
    @dev Reverts with "epoch", "rotation announced", or a reason of the check of the members or of
         the signatures.
    @param epoch Number of the next committee.
    @param next Its keypers, in the order of their numbers.
    @param key_id Digest of its public encryption keys.
    @param circuits Digest of the circuits that the keys serve.
    @param signatures Rotation signatures of a quorum of the present committee.
    """
    assert epoch == self.epoch + 1, "epoch"
    assert self.next_active_from == 0, "rotation announced"
    self._check_members(next)
    struct_hash: bytes32 = keccak256(
        abi_encode(
            ROTATION_TYPE_HASH,
            epoch,
            self._members_hash(self.keypers),
            self._members_hash(next),
            key_id,
            circuits,
        )
    )
    signers: uint256 = self._check_quorum(struct_hash, signatures, self.excluded)
    self.next_keypers = next
    self.next_key_id = key_id
    self.next_circuits = circuits
    self.next_active_from = block.timestamp + ROTATION_DELAY
    log RotationAnnounced(
        epoch=epoch,
        next=next,
        key_id=key_id,
        circuits=circuits,
        active_from=self.next_active_from,
    )


@internal
def _rotate():
    """
    @notice Make the announced committee the present one.
    @dev Reverts with "no rotation" or "too early".
    """
    assert self.next_active_from != 0, "no rotation"
    assert block.timestamp >= self.next_active_from, "too early"
    self.next_active_from = 0
    self._appoint(self.next_keypers, self.next_key_id, self.next_circuits)


@internal
@pure
def _members_hash(members: DynArray[address, KEYPERS_MAX]) -> bytes32:
    """
    @notice What names a committee: the EIP-712 encoding of its addresses.
    @param members Addresses in the order of their numbers.
    @return keccak256 of the addresses, 32 bytes each.
    """
    encoded: Bytes[32 * (KEYPERS_MAX + 2)] = abi_encode(members)
    return keccak256(slice(encoded, ARRAY_HEAD_BYTES, 32 * len(members)))
