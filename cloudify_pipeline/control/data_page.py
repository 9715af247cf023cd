"""The page of :mod:`.data_flow` as Markdown, for a file on data protection."""

from collections.abc import Iterable, Sequence

from cloudify_pipeline.control.data_flow import DataFlow, Section


def markdown(flow: DataFlow) -> str:
    """One page. What settings and Stripe's names bring in is escaped, so that it stays in its cell."""
    parts = [
        f"# Data of the connection {_cell(flow.connection)}",
        f"From Stripe to the ledger {_cell(flow.ledger)}; write_mode is {_cell(flow.write_mode)}.",
        "## What is written to the ledger",
        *(_section(section) for section in flow.sections),
        "## What is read to decide",
        _table(("For", "Setting", "Stripe fields"), ((one.what, one.setting, _list(one.sources)) for one in flow.decisions)),
        "## What is written back to Stripe",
        _table(("Stripe field", "What", "Setting"), ((one.target, one.what, one.setting) for one in flow.written_back))
        if flow.written_back
        else "Nothing.",
        "## What is sent to others",
        _table(
            ("To", "What", "Stripe fields", "Setting"),
            ((one.to, one.what, _list(one.sources), one.setting) for one in flow.elsewhere),
        )
        if flow.elsewhere
        else "Nothing.",
        "## What is kept here",
        _table(
            ("Place", "Table", "What", "Persons", "Columns"),
            ((one.place, one.table, one.what, "yes" if one.personal else "no", _list(one.columns)) for one in flow.kept),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    written = _cell(section.written)
    says = f"{written[:1].upper()}{written[1:]}."
    if section.staged:
        says += f" Stripe's objects are kept whole in the staging tables {_cell(_list(section.staged))}."
    rows = (
        (one.target, _list(one.sources), one.how, "always" if one.always else "when there is a value", one.origin)
        for one in section.fields
    )
    table = _table(("Ledger field", "Stripe fields", "How", "When", "From"), rows)
    return f"### {section.name.capitalize()}\n\n{says}\n\n{table}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)


def _cell(text: str) -> str:
    escaped = "".join(f"\\{sign}" if sign in "\\|<>[]`*_" else sign for sign in text)
    return " ".join(escaped.split())
