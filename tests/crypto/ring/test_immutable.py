import numpy as np
import numpy.typing as npt
import pytest
from numpy.lib.stride_tricks import as_strided

from crypto.ring.immutable import immutable

NUMBERS = np.arange(12, dtype=np.uint64).reshape(2, 3, 2)


@pytest.mark.parametrize(
    "array",
    [NUMBERS, NUMBERS[:, 1:], NUMBERS.T, NUMBERS[:0], np.array(7), NUMBERS == 3],
    ids=["whole", "part", "turned", "empty", "one", "flags"],
)
def test_numbers_stay_and_cannot_be_changed(array: npt.NDArray[np.generic]) -> None:
    made = immutable(array)
    assert np.array_equal(made, array)
    assert (made.dtype, made.shape) == (array.dtype, array.shape)
    with pytest.raises(ValueError, match="WRITEABLE"):
        made.setflags(write=True)


def test_it_does_not_change_with_the_array_it_was_made_of() -> None:
    array = NUMBERS.copy()
    made = immutable(array)
    array.setflags(write=False)
    flagged = immutable(array)
    array.setflags(write=True)
    array[...] = 0
    assert np.array_equal(made, NUMBERS)
    assert np.array_equal(flagged, NUMBERS)


def test_what_is_immutable_is_not_copied_and_has_a_header_of_its_own() -> None:
    first = immutable(NUMBERS)
    second = immutable(first)
    part = immutable(second[1:, ::2])
    assert np.shares_memory(first, second)
    assert np.shares_memory(first, part)
    first.shape = (12,)
    assert second.shape == NUMBERS.shape


def test_an_array_that_reaches_beyond_its_bytes_is_copied() -> None:
    """What lies there may change."""
    inside = np.frombuffer(bytes(64), np.uint8)
    for beyond in (as_strided(inside[32:], (64,)), as_strided(inside, (2,), (-8,))):
        assert not np.shares_memory(immutable(beyond), beyond)


def test_what_only_looks_at_bytes_is_copied() -> None:
    owner = np.zeros(8, dtype=np.uint8)
    made = immutable(np.frombuffer(owner.data.toreadonly(), np.uint8))
    owner[:] = 1
    assert not made.any()
