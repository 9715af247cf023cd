"""The evidence of VAT numbers in the posting log: everything that was answered, once, and for each connection alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cloudify_pipeline.accounting.vat_evidence import Answer
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.log.vat_numbers import keep_vat_answers, vat_answers
from cloudify_pipeline.posting.log.verify import verify

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
NUMBER = "DE136695976"
VIES = Answer(
    NUMBER, "vies", True, NOW, "Musterfirma GmbH", "Musterweg 1\n10115 Berlin", "WAPIAAAAZ0000001", "DK13585628", None, "cus_1"
)
STRIPE = Answer(NUMBER, "stripe", True, NOW, "MUSTERFIRMA", None, tax_id="txi_1", customer="cus_1")


def keep(log: PostingLog, *answers: Answer, connection: str = "nordlys") -> None:
    keep_vat_answers(log.engine, connection, answers, NOW)


def kept(log: PostingLog, connection: str = "nordlys") -> tuple[Answer, ...]:
    return vat_answers(log.engine, connection, [NUMBER, "FR40303265045"]).get(NUMBER, ())


def test_an_answer_comes_back_as_it_was_given(log: PostingLog) -> None:
    keep(log, VIES, replace(STRIPE, at=NOW + timedelta(hours=1)))
    assert kept(log) == (VIES, replace(STRIPE, at=NOW + timedelta(hours=1)))
    assert kept(log, "other") == ()
    assert vat_answers(log.engine, "nordlys", []) == {}


LATER = NOW + timedelta(days=40)


@pytest.mark.parametrize(
    ("more", "entries"),
    [
        ((replace(VIES, at=LATER),), 2),
        ((replace(VIES, at=LATER, valid=False),), 2),
        ((VIES,), 1),
        ((STRIPE, replace(STRIPE, at=LATER)), 2),
        ((STRIPE, replace(STRIPE, at=LATER, tax_id="txi_2")), 3),
        ((STRIPE, replace(STRIPE, tax_id="txi_2", customer="cus_2")), 3),
        ((replace(VIES, number="FR40303265045"),), 2),
    ],
    ids=["asked again", "struck off", "the same", "seen again", "a new verification", "another customer's", "another number"],
)
def test_every_answer_is_kept_and_of_a_verification_by_stripe_the_first_sight(
    log: PostingLog, more: tuple[Answer, ...], entries: int
) -> None:
    keep(log, VIES)
    keep(log, *more)
    keep(log, *more)
    found = verify(log.engine, "nordlys")
    assert (found.entries, found.findings) == (entries, [])


def test_nothing_new_writes_nothing(log: PostingLog) -> None:
    keep(log)
    assert verify(log.engine, "nordlys").entries == 0
