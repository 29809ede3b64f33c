"""Ten intervals of one venue, and an eleventh whose operator and keypers are gone for good."""

from pathlib import Path

import pytest

from tests.support.venue_story import desert, embedded, leave, live, require_audited, story


def test_a_venue_lives_and_everybody_leaves_with_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with story(embedded(), tmp_path) as told:
        live(told, monkeypatch)
        require_audited(told)
        desert(told, monkeypatch)
        leave(told)
