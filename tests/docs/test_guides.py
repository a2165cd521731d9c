"""Every document runs from its first block to its last, against one service, and prints what it shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.guides import GUIDES, ROOT, Block, Checkout, blocks_of, check_shown, shown_after


@pytest.mark.parametrize("path", [ROOT / "README.md", *GUIDES], ids=lambda path: path.stem)
def test_every_block_does_what_it_shows(path: Path, new_checkout: Callable[[], Checkout]) -> None:
    checkout = new_checkout()
    for block, shown in shown_after(blocks_of(path.read_text())):
        printed = checkout.run(block)
        if shown is not None:
            check_shown(shown, printed)


def test_what_is_shown_and_not_printed_is_found() -> None:
    shown = Block("text", "verdict: ship\nlift   … [1 %, …]\n", 7)
    check_shown(shown, "a line before\nverdict:  ship\nlift 3 % [1 %, 5 %]\n")
    for printed in ("verdict: keep\nlift 3 % [1 %, 5 %]", "lift 3 % [1 %, 5 %]\nverdict: ship", ""):
        with pytest.raises(AssertionError, match="line 7"):
            check_shown(shown, printed)


def test_an_answer_with_other_keys_than_shown_is_found() -> None:
    shown = Block("json", '{"request_id": "…", "probabilities": [0.9], "fallback": false}', 7)
    check_shown(shown, '{"request_id": "a", "probabilities": [0.1, 0.2], "fallback": false}')
    for printed in ('{"request_id": "a"}', '{"request_id": "a", "probabilities": [0.1], "fallback": true}'):
        with pytest.raises(AssertionError, match="line 7"):
            check_shown(shown, printed)
