"""What the support bundle replaces and what it leaves."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.control.support_bundle_redaction import Redactor

CUSTOMER = {
    "id": "cus_P1x",
    "object": "customer",
    "name": "Bådværftet v/Sørine Quist",
    "email": "sorine@quist.example",
    "phone": "+45 62521190",
    "currency": "dkk",
    "tax_exempt": "none",
    "address": {"line1": "Havnegade 1", "city": "aarhus", "postal_code": "8000", "country": "DK"},
    "metadata": {"ref": "DKK", "n": "7"},
    "balance": -1250,
    "created": 1_760_000_000,
}


def knowing(*values: str) -> Redactor:
    redactor = Redactor()
    for value in values:
        redactor.learn_value(value)
    return redactor


def test_in_an_object_texts_go_and_ids_amounts_currencies_countries_stay() -> None:
    shown = Redactor().object(CUSTOMER)
    for kept in ("id", "object", "currency", "tax_exempt", "balance", "created"):
        assert shown[kept] == CUSTOMER[kept]
    assert shown["address"]["country"] == "DK"
    assert set(shown["metadata"]) == {"ref", "n"}
    replaced = [shown["name"], shown["email"], shown["phone"], *shown["metadata"].values()]
    replaced += [shown["address"][key] for key in ("line1", "city", "postal_code")]
    assert all(value.startswith("~") for value in replaced)
    assert len(set(replaced)) == len(replaced)


@pytest.mark.parametrize(
    "kept",
    [
        "E-TOTAL: the ledger would come to 1,250.00 DKK, Stripe has 1,249.99 DKK",
        "its customer cus_2mCdhFQJ9bYHtv is held: the buyer has no country, neither for shipping nor for billing",
        "HTTP 400: lines[0].product: Product not found (E06000)",
        "invoice in_1PxYz of 2026-11-02 lies in a closed period",
        "Stripe gave no usable answer at /v1/invoices: status 500",
    ],
)
def test_a_sentence_of_our_own_stays_as_it_is(kept: str) -> None:
    assert Redactor().text(kept) == kept


@pytest.mark.parametrize(
    ("sentence", "gone", "kept"),
    [
        ("customer 101 (Bådværftet v/Sørine Quist) is barred in the ledger", ["Bådværftet", "Quist"], "customer 101 ("),
        ("line 'rådgivning for gunhild thorup' names no product", ["gunhild", "rådgivning"], "names no product"),
        ("sorine@quist.example matches several", ["sorine", "quist"], "matches several"),
        ("call +45 62 52 11 90 about it", ["62 52"], "call "),
        ("BÅDVÆRFTET V/SØRINE QUIST is unknown", ["BÅD", "QUIST"], " is unknown"),
        ("customer Zbigniew Kowalczyk", ["Zbigniew", "Kowalczyk"], "customer "),
        ("key sk_live_51Hx0Y9z8Q refused", ["51Hx0"], "[secret]"),
        ("postgresql://books:hunter2@db/log", ["hunter2", "books:"], "[secret]@db"),
    ],
)
def test_in_a_sentence_what_is_a_persons_goes(sentence: str, gone: list[str], kept: str) -> None:
    shown = knowing("Bådværftet v/Sørine Quist").text(sentence)
    assert shown is not None
    assert not [one for one in gone if one in shown], shown
    assert kept in shown


def test_a_stand_in_of_digits_alone_is_not_replaced_once_more() -> None:
    assert knowing("2026").text("to ~130121309876 or ~1301213e9876") == "to ~130121309876 or ~1301213e9876"


def test_a_postal_code_goes_and_dates_and_amounts_with_its_digits_stay() -> None:
    shown = knowing("2026", "1250").text("2026-11-02: 1250.00 DKK to 1250 or 2026")
    assert shown is not None
    assert shown.startswith("2026-11-02: 1250.00 DKK to ~")
    assert shown.count("~") == 2


def test_equal_values_stay_equal_in_one_bundle_only() -> None:
    one, two = Redactor(), Redactor()
    assert one.pseudonym("Sørine Quist") == one.pseudonym(" sørine  quist") != one.pseudonym("Sørine Kvist")
    assert one.pseudonym("Sørine Quist") != two.pseudonym("Sørine Quist")


def test_a_secret_goes_from_whatever_text_it_is_in() -> None:
    redactor = Redactor(["a-grant-token"])
    assert redactor.clean('{"note": "a-grant-token and a-grant-token"}') == '{"note": "[secret] and [secret]"}'
    assert redactor.secrets_removed == 2


NAMES = st.from_regex(r"[A-ZÆØÅ][a-zæøåéü]{3,12} [A-ZÆØÅ][a-zæøåéü]{3,12}", fullmatch=True)


@given(name=NAMES, others=st.lists(NAMES, max_size=3))
def test_a_known_name_is_nowhere_left(name: str, others: list[str]) -> None:
    redactor = knowing(name, *others)
    node: dict[str, Any] = {"name": name, "metadata": {"a": name.lower()}, "lines": [{"description": f"for {name}, again"}]}
    shown = json.dumps(redactor.object(node), ensure_ascii=False) + str(redactor.text(f"customer 7 ({name.upper()}): {name}."))
    assert name.casefold() not in shown.casefold()


@given(amount=st.integers(-(10**9), 10**9), currency=st.sampled_from(["dkk", "eur", "sek"]))
def test_amounts_are_never_touched(amount: int, currency: str) -> None:
    node = {
        "total": amount,
        "currency": currency,
        "status": "open",
        "unit_amount_decimal": f"{amount}.5",
        "unitNetPrice": Decimal(amount),
    }
    assert knowing("1000 Dkk Eur", f"{amount}.5", str(amount)).object(node) == node
