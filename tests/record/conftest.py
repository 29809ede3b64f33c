import os
import shutil
from pathlib import Path

import pytest

from tests.support.record_parts import Parts, made_parts


@pytest.fixture(scope="session")
def parts() -> Parts:
    return made_parts()


@pytest.fixture(scope="session")
def written(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parts.write(tmp_path_factory.mktemp("records") / "record")


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "copy", copy_function=os.link))
