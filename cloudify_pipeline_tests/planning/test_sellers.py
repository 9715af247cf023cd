"""Whose sale it is, for each way in which Stripe names another account, and for those which look like one and are none."""

from collections.abc import Mapping
from typing import Any

import pytest

from cloudify_pipeline.planning.records import ChargeRecord
from cloudify_pipeline.planning.sellers import another_seller
from cloudify_pipeline_tests.planning.books import charge, line, record

Named = tuple[str | None, str] | None
OWN, OTHER = "acct_1NordlysOwn", "acct_1Keramik"


def of_invoice(own: str | None = OWN, paid_by: tuple[Mapping[str, Any], ...] = (), **fields: Any) -> Named:
    return named(another_seller(record([line(10000)], **fields), own, paid_by))


def of_charge(own: str | None = OWN, **fields: Any) -> Named:
    return named(another_seller(ChargeRecord({**charge().charge, **fields}), own))


def named(problem: Any) -> Named:
    if problem is None:
        return None
    assert problem.code == "E-OTHER-SELLER"
    assert problem.field in problem.message
    assert problem.found in problem.message
    return problem.field, problem.found


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"on_behalf_of": OTHER}, ("on_behalf_of", OTHER)),
        ({"on_behalf_of": {"id": OTHER, "object": "account"}}, ("on_behalf_of", OTHER)),
        ({"issuer": {"type": "account", "account": OTHER}}, ("issuer.account", OTHER)),
        ({"issuer": {"type": "account", "account": {"id": OTHER, "object": "account"}}}, ("issuer.account", OTHER)),
        ({"issuer": {"type": "account", "account": None}}, ("issuer.type", "account")),
        ({"issuer": {"type": "marketplace"}}, ("issuer.type", "marketplace")),
        ({"transfer_data": {"amount": None, "destination": OTHER}}, ("transfer_data.destination", OTHER)),
        ({"transfer_data": {"amount": 9000, "destination": {"id": OTHER}}}, ("transfer_data.destination", OTHER)),
        ({"issuer": {"type": "self"}, "on_behalf_of": OTHER}, ("on_behalf_of", OTHER)),
        ({"on_behalf_of": OWN, "transfer_data": {"destination": OTHER}}, ("transfer_data.destination", OTHER)),
        ({"issuer": {"type": "self"}}, None),
        ({"issuer": {"type": "account", "account": OWN}}, None),
        ({"issuer": None, "on_behalf_of": None, "transfer_data": None}, None),
        ({"on_behalf_of": OWN}, None),
        ({"application": "ca_1Shop", "application_fee_amount": 250}, None),
    ],
)
def test_an_invoice_that_names_another_account_is_that_accounts_sale(fields: dict[str, Any], found: Any) -> None:
    assert of_invoice(**fields) == found


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"on_behalf_of": OTHER}, ("on_behalf_of", OTHER)),
        ({"transfer_data": {"amount": None, "destination": OTHER}}, ("transfer_data.destination", OTHER)),
        (
            {"transfer_data": {"amount": None, "destination": OTHER}, "transfer": "tr_1", "application_fee_amount": 250},
            ("transfer_data.destination", OTHER),
        ),
        ({"transfer": "tr_1"}, ("transfer", "tr_1")),
        ({"transfer": {"id": "tr_1", "object": "transfer", "destination": OTHER}}, ("transfer", OTHER)),
        ({"destination": OTHER, "transfer": "tr_1"}, ("destination", OTHER)),
        ({"transfer": {"id": "tr_1", "object": "transfer", "destination": OWN}}, None),
        ({"transfer_data": {"destination": OWN}, "transfer": "tr_1"}, None),
        ({"on_behalf_of": OWN}, None),
        # Made on this account by another's app: a direct charge.
        ({"application": "ca_1Shop", "application_fee": "fee_1", "application_fee_amount": 250}, None),
        # What a platform has passed on to this account, and what is only marked as belonging together.
        ({"source_transfer": "tr_1"}, None),
        ({"transfer_group": "order-17"}, None),
    ],
)
def test_a_payment_whose_money_is_another_accounts_is_that_accounts_sale(fields: dict[str, Any], found: Any) -> None:
    assert of_charge(**fields) == found


def test_an_invoice_is_another_accounts_when_its_payment_is_transferred_to_that() -> None:
    ours = charge().charge
    theirs = {**ours, "id": "ch_2", "transfer_data": {"destination": OTHER}}
    assert of_invoice(paid_by=(ours,)) is None
    assert of_invoice(paid_by=(ours, theirs)) == ("transfer_data.destination", OTHER)


def test_where_the_own_account_is_not_known_every_account_that_is_named_is_another() -> None:
    assert of_invoice(None, on_behalf_of=OWN) == ("on_behalf_of", OWN)
    assert of_charge(None, on_behalf_of=OWN) == ("on_behalf_of", OWN)
    assert of_invoice(None, issuer={"type": "self"}) is None
