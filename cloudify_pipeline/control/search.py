"""What documents are found by: ids and e-mails that only staging knows, kept in the posting log beside them."""

from cloudify_pipeline.control.joined import joined_records, portions
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.planning.records import search_terms
from cloudify_pipeline.posting.log import terms


def fill_terms(opened: OpenConnection) -> int:
    """Give terms to every document that has none, as after an upgrade or a loss; how many got some."""
    with opened.log.engine.connect() as db:
        missing = terms.without(db, opened.name)
    filled = 0
    for part in portions(missing):
        records = list(joined_records(opened.staging, part))
        told = [("document", one.stripe_id, term) for one in records for term in (one.stripe_id, *search_terms(one))]
        with opened.log.engine.begin() as db:
            terms.keep(db, opened.name, told)
        filled += len(records)
    return filled
