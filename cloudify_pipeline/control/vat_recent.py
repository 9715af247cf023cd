"""The EU sales of this month and the last as they were posted: what the next list and return will be made of."""

from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.sanity import Doubt, posted_eu_sales_agree
from cloudify_pipeline.control.vat_periods import last_month
from cloudify_pipeline.control.vat_return import supplies_of
from cloudify_pipeline.posting.log.vat_sales import kept_sales


def recent_eu_sales_doubts(opened: OpenConnection) -> list[Doubt]:
    """Where rubrik B and the EU-sales list would not agree; reads the posting log alone."""
    bound = opened.log.binding(opened.name)
    if bound is None:
        return []
    sales = kept_sales(opened.log, opened.name, first=last_month(opened.clock()).first)
    ordered = sorted(sales.values(), key=lambda sale: (sale.date, sale.name))
    return list(posted_eu_sales_agree(ordered, supplies_of(opened.settings.vat), str(bound["base_currency"])))
