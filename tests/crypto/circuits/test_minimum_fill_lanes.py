import numpy as np

from crypto.bfv.ciphertext import Ciphertext
from crypto.bfv.encryption import encrypt_slots
from crypto.bfv.seal import Evaluator
from crypto.circuits.minimum_fill_lanes import (
    ACCEPTS,
    SUITED,
    USED_UP,
    MinimumFillBook,
    MinimumFillLayout,
    minimum_fill_lanes,
)
from crypto.circuits.rationing import prefix_sums, priority_matrix
from crypto.ring.params import TEST_INSECURE_SMALL
from tests.support.epochs import Epoch

RING = TEST_INSECURE_SMALL.order_ring


def test_the_worked_example_of_the_module_text(small: Epoch, order: Evaluator) -> None:
    def sealed(buyers: list[int], sellers: list[int], start: int = 0) -> Ciphertext:
        values = np.zeros((2, RING.row), dtype=np.int64)
        for row, lots in enumerate((buyers, sellers)):
            values[row, start : start + len(lots)] = lots
        return encrypt_slots(small.material.order_keys.public, values.reshape(-1), bytes(32))

    minimum_fill = sealed([0, 0, 0], [3, 5, 4])
    before = prefix_sums(order, minimum_fill, priority_matrix(RING, np.arange(3)))
    minimums = sealed([], [1, 2, 0], RING.row // 2)
    book = MinimumFillBook(sealed([0, 0, 0, 10], [0, 0, 0, 0, 4]), minimum_fill, before, minimums)
    layout = MinimumFillLayout(TEST_INSECURE_SMALL, (5,))
    lanes = minimum_fill_lanes(order, layout, [book])
    slots = np.stack([small.oracle(RING).slots(lane.ciphertext) for lane in lanes])
    values = layout.shape.from_order(slots)
    values[values > RING.plain_modulus // 2] -= RING.plain_modulus
    sellers = {block: layout.lanes(0, block)[1, :3] for block in (ACCEPTS, SUITED, USED_UP)}
    assert values[sellers[ACCEPTS]].tolist() == [4, 0, -3]
    assert values[sellers[SUITED]].tolist() == [2, 4, 3]
    assert values[sellers[USED_UP]].tolist() == [-3, 2, 6]
    assert (values[layout.lanes(0, ACCEPTS)[0]] < 0).all()
