"""The tables of rules in the documents name what there is: every rule, where it is checked, and its test."""

import re
from pathlib import Path

from cloudify_pipeline.catalogue import CATALOGUE
from cloudify_pipeline.control import chart_checks
from cloudify_pipeline.control.validations import VALIDATIONS
from cloudify_pipeline.orchestration.checks import checks
from cloudify_pipeline.settings.rules import RULES

ROOT = Path(__file__).parents[2]
CHART = {
    "numbers_exist", "records_exist", "zones_are_enabled", "matrix_is_complete", "other_rates", "correction_bears_no_vat",
    "currencies_are_set_up", "go_live_is_open",
}  # fmt: skip


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = (ROOT / "docs" / page).read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_rule_of_the_settings_stands_in_the_table_and_names_what_checks_it() -> None:
    table = rows("settings.md", "What is checked, and where")
    numbers = [int(row[0].removeprefix("V-")) for row in table]
    assert numbers == [*range(1, 13), *range(20, 35), 36, 37, 38, 40, 41]
    known = CHART | {rule.__name__ for rule in RULES} | {one.__name__ for one in VALIDATIONS}
    for number, _, where, by in table:
        assert {one.strip() for one in where.split(",")} <= {"load", "check", "hold"}, number
        names = {name for name in re.findall(r"`([a-z_]+)`", by) if "_" in name}
        assert names <= known, number
        assert set(re.findall(r"\bE-[A-Z-]+", by)) <= set(CATALOGUE), number
        assert ("E-" in by) is ("hold" in where), number
        assert names or "E-" in by or "not built" in by or "models" in by, number


def test_every_validation_of_b11_stands_in_the_table() -> None:
    told = {name for row in rows("settings.md", "What is checked, and where") for name in re.findall(r"`(\w+)`", row[3])}
    assert {one.__name__ for one in VALIDATIONS} - told == {"barred_periods_can_be_read"}, "a note, and no rule of its own"
    assert told >= CHART
    assert all(callable(getattr(chart_checks, name)) for name in CHART)


def test_the_fourteen_checks_name_holds_asset_checks_and_tests_that_there_are() -> None:
    table = rows("operations.md", "The fourteen checks of a sale's VAT")
    assert [row[0].split(".")[0] for row in table] == [str(number) for number in range(1, 15)]
    assets = {spec.name for check in checks for spec in check.check_specs}
    for check, where, tests in table:
        assert set(re.findall(r"hold (E-[A-Z-]+)", where)) <= set(CATALOGUE), check
        assert set(re.findall(r"asset check `(\w+)`", where)) <= assets, check
        assert "hold" in where or "asset check" in where, check
        for name in tests.split(", "):
            assert (ROOT / "cloudify_pipeline_tests" / name).is_file(), check
