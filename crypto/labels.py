"""Every domain-separation label, in one place, so that no two uses can ever share one."""

from typing import Final

KEY_SHARE: Final = b"darkpool/v1/key-share"
FLOODING: Final = b"darkpool/v1/flooding"
ENCRYPTION: Final = b"darkpool/v1/encryption"
MASK_SIGNS: Final = b"darkpool/v1/mask-signs"
MASK_ENCRYPTION: Final = b"darkpool/v1/mask-encryption"
OPENING_VECTOR: Final = b"darkpool/v1/opening-vector"
OPENING_ENCRYPTION: Final = b"darkpool/v1/opening-encryption"
OPENING_SEED: Final = b"darkpool/v1/opening-seed"
CIPHERTEXT_DIGEST: Final = b"darkpool/v1/ciphertext-digest"
SHARE_DIGEST: Final = b"darkpool/v1/share-digest"
ENVELOPE: Final = b"darkpool/v1/envelope"
BEACON: Final = b"darkpool/v1/beacon"
PRIORITY: Final = b"darkpool/v1/priority"

MERKLE_LEAF: Final = b"\x00"
MERKLE_NODE: Final = b"\x01"
MERKLE_ROOT: Final = b"\x02"
MERKLE_EMPTY_LEAF: Final = b"\x03darkpool merkle empty leaf"

EIP712_DOMAIN_NAME: Final = "darkpool"
EIP712_DOMAIN_VERSION: Final = "1"
LOW_NOISE_ENCRYPTION: Final = b"darkpool/v1/low-noise-encryption"
MASK_PREPARATION: Final = b"darkpool/v1/mask-preparation"
MASK_ATTESTATION: Final = b"darkpool/v1/mask-attestation"
OPENING_CONTEXT: Final = b"darkpool/v1/opening-context"
