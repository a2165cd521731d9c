"""What only the README promises; what every document does is tested for all of them."""

from __future__ import annotations

import re

from tests.docs.guides import ROOT, blocks_of

BLOCKS = blocks_of((ROOT / "README.md").read_text())


def test_the_two_commands_stand_first_and_exist() -> None:
    assert BLOCKS[0].language == "console"
    assert re.findall(r"^\$ (make \w+)", BLOCKS[0].text, flags=re.MULTILINE) == ["make serve", "make test"]


def test_it_asks_by_curl_and_from_python() -> None:
    asking = {block.language for block in BLOCKS if "127.0.0.1:8000" in block.text}
    assert asking >= {"sh", "python"}
