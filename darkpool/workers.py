"""What every worker process of this package does first."""

import os
import threading
from multiprocessing import parent_process


def end_with_parent() -> None:
    """End this process when its parent does, however that ended.

    A worker may hold key shares, and none is of use to anybody else.
    """
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
