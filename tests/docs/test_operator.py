"""docs/operator.md says what every setting and every alert means, and nothing of others."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from loadtest.settings_table import placed, table
from service.settings import Settings
from tests.docs.guides import ROOT

GUIDE = (ROOT / "docs/operator.md").read_text()
RULES = ROOT / "docker/prometheus/rules/alerts.yml"


def alerts() -> dict[str, Any]:
    """Name → rule."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def test_the_table_of_settings_is_that_of_this_code() -> None:
    assert placed(GUIDE) == GUIDE, "run `make api-docs` and commit docs/operator.md"
    assert table().count("\n") == len(Settings.model_fields) + 2


def test_a_document_without_room_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no table to replace"):
        placed("# A guide\n")


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    sections = re.findall(r"^### (\w+)$", GUIDE.partition("\n## Alerts\n")[2], flags=re.MULTILINE)
    assert sections == list(alerts())


def test_every_section_says_what_to_do() -> None:
    sections = re.split(r"^### ", GUIDE.partition("\n## Alerts\n")[2], flags=re.MULTILINE)[1:]
    assert [section.split("\n")[0] for section in sections if "**Do:**" not in section] == []


def test_every_runbook_is_the_address_of_its_section() -> None:
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook"].endswith(f"docs/operator.md#{name.lower()}")
