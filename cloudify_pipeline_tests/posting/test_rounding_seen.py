from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import create_engine

from cloudify_pipeline.planning.rounding import Seen, in_force
from cloudify_pipeline.posting.log.rounding_seen import remember_rounding, rounding_answers

AT = datetime(2026, 11, 10, 12, tzinfo=UTC)
BY_LINE = Seen("stripe:in_2", "per_line", Decimal("0.09"), Decimal("0.08"), AT + timedelta(hours=1))
ON_SUM = Seen("stripe:in_1", "per_document", Decimal("1.10"), Decimal("1.11"), AT)


def test_answers_are_kept_by_connection_and_document_and_the_latest_is_in_force() -> None:
    engine = create_engine("sqlite://")
    assert rounding_answers(engine, "nordlys") == ()
    with engine.begin() as db:
        for seen in (BY_LINE, ON_SUM):
            remember_rounding(db, "nordlys", seen)
        remember_rounding(db, "other", ON_SUM)
    assert rounding_answers(engine, "nordlys") == (ON_SUM, BY_LINE)
    assert in_force("learn", rounding_answers(engine, "nordlys")).rounding == "per_line"
    assert in_force("learn", rounding_answers(engine, "other")).rounding == "per_document"
    again = Seen("stripe:in_2", "per_document", Decimal("0.08"), Decimal("0.09"), AT + timedelta(hours=2))
    with engine.begin() as db:
        remember_rounding(db, "nordlys", again)
    assert rounding_answers(engine, "nordlys") == (ON_SUM, again)
    engine.dispose()
