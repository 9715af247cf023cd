from pathlib import Path
from typing import Any

import pytest

from cloudify_pipeline.settings.unbuilt import UNBUILT
from cloudify_pipeline_tests.settings.files import SMALLEST, changed, refused

BUSINESS_CENTRAL = {"tenant_id": "t", "company_id": "c", "client_id": "i", "client_secret": {"env": "BC"}}

WRITTEN: list[tuple[str, dict[str, Any], str]] = [
    ("ledger", changed(ledger="business_central"), "ledger: business_central: not built yet"),
    ("business_central", changed(business_central=BUSINESS_CENTRAL), "business_central.tenant_id"),
    ("journal", changed(journal={"enabled": False}), "journal.enabled: not built yet"),
    ("invoices.send_by", changed(invoices={"send_by": "ean"}), "invoices.send_by: ean: not built yet"),
]


@pytest.mark.parametrize(("key", "file", "says"), WRITTEN)
def test_what_is_written_and_not_built_is_refused_by_name(tmp_path: Path, key: str, file: dict[str, Any], says: str) -> None:
    assert says in refused(tmp_path, file)[key]


def test_every_line_of_the_table_is_tested() -> None:
    assert {key for key, *_ in WRITTEN} == {unbuilt.key for unbuilt in UNBUILT}


@pytest.mark.parametrize(
    "file",
    [
        SMALLEST,
        changed(invoices={"write_back": True, "send_by": "none", "closed_period": "hold", "discounts": "line"}),
        changed(invoices={"closed_period": "first_open_day"}),
        changed(invoices={"exchange_rate": "ledger", "rounding": {"tolerance": 0.1, "vat": "per_line"}}),
        changed(invoices={"discounts": "product_line"}, products__discount_product="D"),
        changed(limits={"max_documents_per_run": 5, "max_new_customers_per_run": 5}),
        changed(vat={"missing_country": "customer_zone"}),
        changed(alerts=[{"on": ["failed"], "to": "log"}]),
    ],
)
def test_what_is_built_may_be_written(tmp_path: Path, file: dict[str, Any]) -> None:
    assert refused(tmp_path, file) == {}
