"""`cloudify usage`: how many documents were created, per month."""

from cloudify_pipeline.cli.names import Name, chosen, opening
from cloudify_pipeline.cli.output import DONE, AsJson, say, show_json, table
from cloudify_pipeline.control.usage import usage as count


def usage(name: Name = None, as_json: AsJson = False) -> int:
    """Documents created per month; what failed, was held or changed nothing counts nothing. Sends nothing."""
    with opening(chosen(name)) as opened:
        connection, months = opened.name, count(opened)
    if as_json:
        listed = [
            {
                "month": one.month,
                "draft_invoices": one.draft_invoices,
                "booked_invoices": one.booked_invoices,
                "draft_orders": one.draft_orders,
                "total": one.total,
            }
            for one in months
        ]
        show_json({"connection": connection, "months": listed, "total": sum(one.total for one in months)})
        return DONE
    if not months:
        say(f"No document has been created yet. Next: cloudify sync {connection}")
        return DONE
    rows = [(one.month, one.draft_invoices, one.booked_invoices, one.draft_orders, one.total) for one in months]
    whole = ("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])) if len(rows) > 1 else None
    columns = ("Month", "Draft invoices>", "Booked invoices>", "Draft orders>", "Total>")
    table(f"Documents created by {connection}", columns, [*rows, *([whole] if whole else [])])
    return DONE
