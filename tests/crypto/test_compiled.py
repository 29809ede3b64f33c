"""What numba keeps on the disk never decides whether a kernel runs."""

import errno
import pickle
from typing import Any, NoReturn

import pytest
from numba.core import caching

from crypto.compiled import kernel


def doubled(number: int) -> int:
    return 2 * number


def test_a_kernel_runs_where_no_folder_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator available"):
        caching.FunctionCache(doubled)
    assert kernel(doubled)(21) == 42


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), EOFError(), pickle.PickleError()])
@pytest.mark.parametrize("step", ["load", "save"])
def test_a_kernel_runs_where_its_cache_fails(
    step: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = []

    def fail(*_: Any) -> NoReturn:
        failed.append(step)
        raise error

    monkeypatch.setattr(caching.IndexDataCacheFile, step, fail)
    if step == "save":
        monkeypatch.setattr(caching.IndexDataCacheFile, "load", lambda *_: None)
    assert kernel(doubled)(21) == 42
    assert failed == [step]


def test_what_was_compiled_is_kept_for_later_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("kernels")
    monkeypatch.setattr(caching.config, "CACHE_DIR", str(folder))
    assert kernel(doubled)(21) == 42
    assert list(folder.rglob("*.nbc"))
    again = kernel(doubled)
    assert again(21) == 42
    assert sum(again.stats.cache_hits.values()) == 1
