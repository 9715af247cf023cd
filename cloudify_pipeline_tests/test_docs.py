"""The documents: every link between them leads somewhere, and what they say of the settings is what the model says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cloudify_pipeline.connection import catalogues
from cloudify_pipeline.settings.load import load_settings
from cloudify_pipeline.settings.source import read_mapping
from cloudify_pipeline.stripe_source.metadata import NEEDED_RIGHTS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "llms.txt", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_resolves(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_index_names_every_page() -> None:
    index = (ROOT / "llms.txt").read_text(encoding="utf-8")
    assert not [page.name for page in PAGES if page.name != "llms.txt" and page.name not in index]


SMALLEST: dict[str, Any] = {
    "stripe": {"api_key": {"env": "KEY"}},
    "ledger": "economic",
    "economic": {"app_secret_token": {"env": "APP"}, "agreement_grant_token": {"env": "GRANT"}},
    "customers": {"defaults": {"payment_terms": 1, "group": 1}},
    "products": {"defaults": {"group": 3}},
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_piece_of_a_connection_file_that_is_shown_loads(page: Path, tmp_path: Path) -> None:
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)):
        shown = read_mapping(text, page.name)
        merged = {name: {**SMALLEST.get(name, {}), **part} if isinstance(part, dict) else part for name, part in shown.items()}
        file = tmp_path / f"shown{number}.yaml"
        file.write_text(json.dumps({**SMALLEST, **merged}, default=str), encoding="utf-8")
        load_settings(file, catalogues=catalogues())


def test_the_readme_names_every_right_the_key_needs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [right.resource for right in NEEDED_RIGHTS if right.resource not in text]
