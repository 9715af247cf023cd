"""The log's statements in PostgreSQL's words: what SQLite forgives or spells in its own way must not slip in."""

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateIndex, CreateTable

from cloudify_pipeline.posting.log import schema as t

POSTGRESQL = make_url("postgresql+asyncpg://").get_dialect()()
TABLES = ("audit", "audit_heads", "search_terms")


@pytest.mark.parametrize("name", TABLES)
def test_every_table_of_the_chain_can_be_made_on_postgresql(name: str) -> None:
    table = t.metadata.tables[name]
    made = str(CreateTable(table).compile(dialect=POSTGRESQL))
    # A number that PostgreSQL counts by itself would not be the chain's.
    assert "SERIAL" not in made
    assert "PRIMARY KEY (connection" in made
    for index in table.indexes:
        # PostgreSQL takes no more than a third of a page into an index row, and a letter may have four bytes.
        assert 4 * sum(getattr(column.type, "length", None) or 8 for column in index.columns) < 2_700
        assert "CREATE INDEX" in str(CreateIndex(index).compile(dialect=POSTGRESQL))
