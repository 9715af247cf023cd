"""The making of the demo data: who bought what, when, and what should become of it."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from cloudify_pipeline.sandbox.stripe import demo_buyers
from cloudify_pipeline.sandbox.stripe.credit_notes import CreditLine
from cloudify_pipeline.sandbox.stripe.demo_buyers import Buyer
from cloudify_pipeline.sandbox.stripe.demo_goods import GOODS
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline.sandbox.stripe.store import StripeStore

Ending = Literal["paid", "paid_elsewhere", "paid_late", "open", "draft", "void", "uncollectible"]
_EVERYDAY = 148
_EU = frozenset(("AT", "BE", "DE", "ES", "FI", "FR", "IE", "IT", "NL", "PL", "SE"))
# What a document is held for when its customer or a product of it is.
_OF_CUSTOMER = "E-CUST-MISSING"
_OF_PRODUCT = "E-DEPENDENCY"


class Sales:
    """The account's sales from `start` to `now`, and what was expected of each while it was made."""

    def __init__(self, store: StripeStore, start: datetime, now: datetime, seed: int) -> None:
        self.store = store
        self.start = start
        self.now = now
        self.random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.held: dict[str, list[str]] = {}
        self.skipped: dict[str, str] = {}
        self.documents: list[str] = []
        self.buyers = {buyer.key: buyer for buyer in demo_buyers.ALL}
        self.goods = {good.key: good for good in GOODS}
        self.corrected: dict[str, str] = {}
        """By buyer, the invoices that are taken back later."""

    def make(self) -> None:
        """Make everything."""
        self._stock()
        for n in range(_EVERYDAY):
            self._everyday(n)
        self._special()
        self._endings()
        self._to_be_held()
        self._payments()
        self._corrections()
        for payment in self.store.rows("invoice_payment"):
            if payment["payment"]["type"] == "payment_intent":
                intent = self.store.get("payment_intent", payment["payment"]["payment_intent"])
                self.skipped[intent["latest_charge"]] = "S-HAS-INVOICE"

    def _stock(self) -> None:
        before = self.start - timedelta(days=200)
        self.vat = self.store.add_tax_rate(25, at=before)
        self.vat_inside = self.store.add_tax_rate(25, at=before, inclusive=True)
        self.zero = self.store.add_tax_rate(0, at=before, country=None, display_name="Reverse charge")
        self.twenty = self.store.add_tax_rate(20, at=before, display_name="moms 20")
        self.products: dict[str, str] = {}
        self.prices: dict[tuple[str, str], str] = {}
        for good in GOODS:
            metadata = {**good.metadata, **({"sku": good.sku} if good.sku else {})}
            product = self.store.add_product(good.name.strip(), at=before, description=good.description, metadata=metadata)
            self.products[good.key] = product
            for currency, amount in good.prices.items():
                recurring = {
                    "interval": good.interval,
                    "interval_count": 1,
                    "meter": None,
                    "trial_period_days": None,
                    "usage_type": "licensed",
                }
                self.prices[good.key, currency] = self.store.add_price(
                    product, amount, currency, at=before, recurring=recurring if good.interval else None, tax_behavior="exclusive"
                )
        self.customers = {
            buyer.key: self._customer(buyer, before + timedelta(hours=n)) for n, buyer in enumerate(demo_buyers.ALL)
        }

    def _customer(self, buyer: Buyer, at: datetime) -> str:
        line1, line2, postal_code, city = buyer.place
        address = {"line1": line1, "line2": line2, "postal_code": postal_code, "city": city, "country": buyer.country}
        return self.store.add_customer(
            at=at,
            name=buyer.name,
            email=buyer.email,
            phone=buyer.phone,
            address=address if buyer.country else None,
            tax_ids=[buyer.vat] if buyer.vat else [],
            tax_exempt=buyer.exempt,
            metadata=dict(buyer.metadata),
            balance=-buyer.credit,
            preferred_locales=["da"] if buyer.country == "DK" else [],
        )

    def _line(self, good: str, currency: str, quantity: int | Decimal = 1, *, coupon: str | None = None) -> Line:
        untaxed: tuple[str, ...] | None = () if self.goods[good].vat_free else None
        return Line(self.prices[good, currency], quantity, tax_rates=untaxed, discounts=(coupon,) if coupon else ())

    def _rates(self, buyer: Buyer) -> list[str]:
        """The tax rate that belongs on the buyer's invoices."""
        if buyer.country in _EU:
            return [self.vat if buyer.vat is None or buyer.exempt == "reverse" else self.zero]
        return [self.vat] if buyer.country == "DK" else []

    def sell(
        self,
        key: str,
        lines: Sequence[Line],
        when: float,
        *,
        ending: Ending = "paid",
        held: Sequence[str] = (),
        rates: Sequence[str] | None = None,
        coupons: Sequence[str] = (),
        days: int | None = None,
        subscription: bool = False,
        effective: datetime | None = None,
        **given: Any,
    ) -> str:
        """One invoice at `when` (0–1 of the time there is), and what is expected of it."""
        buyer = self.buyers[key]
        at = self._at(when)
        extra = {**given, **({"effective_at": int(effective.timestamp())} if effective else {})}
        id_ = self.store.create_invoice(
            self.customers[key],
            lines,
            at=at,
            currency=buyer.currency,
            tax_rates=self._rates(buyer) if rates is None else rates,
            discounts=coupons,
            days_until_due=days,
            subscription=f"sub_{self.customers[key][4:]}" if subscription else None,
            **extra,
        )
        self._end(id_, at, ending, days is not None)
        if ending in ("open", "draft", "uncollectible"):
            self.skipped[id_] = "S-NOT-DUE"
        elif ending == "void":
            self.skipped[id_] = "S-VOID"
        elif held:
            self.held[id_] = list(held)
        else:
            self.documents.append(id_)
        return id_

    def _end(self, id_: str, at: datetime, ending: Ending, sent: bool) -> None:
        if ending == "draft":
            return
        self.store.finalize(id_, at=self._later(at, 1))
        if sent:
            self.store.send(id_, at=self._later(at, 1))
        if self.store.invoice(id_)["status"] == "paid":
            return
        if ending == "void":
            self.store.void(id_, at=self._later(at, 30))
        if ending in ("uncollectible", "paid_late"):
            self.store.mark_uncollectible(id_, at=self._later(at, 48))
        if ending.startswith("paid"):
            self.store.pay(id_, at=self._later(at, 72 if sent else 2), out_of_band=ending == "paid_elsewhere")

    def _at(self, when: float) -> datetime:
        return (self.start + (self.now - self.start) * when).replace(microsecond=0)

    def _later(self, at: datetime, hours: int) -> datetime:
        return min(at + timedelta(hours=hours), self.now)

    def _everyday(self, n: int) -> None:
        """Plain sales to everybody in turn: subscriptions, hardware, hours."""
        everybody = (
            *demo_buyers.DANISH,
            *demo_buyers.DANISH,
            *demo_buyers.EU_BUSINESSES,
            *demo_buyers.EU_CONSUMERS,
            *demo_buyers.ABROAD,
        )
        buyer = everybody[n * 11 % len(everybody)]  # 11 divides not their number: all have their turn
        currency, pick = buyer.currency, self.random
        when = (n + pick.random()) / (_EVERYDAY + 1)
        if n % 3 == 0:
            plan = pick.choice(("pro", "team", "start", "support"))
            self.sell(buyer.key, [self._line(plan, currency, pick.randint(1, 9))], when, subscription=True)
        elif n % 3 == 1:
            wanted = [
                key for key in ("sensor", "gateway", "cable", "battery", "bracket", "freight") if (key, currency) in self.prices
            ]
            lines = [
                self._line(key, currency, pick.randint(1, 12))
                for key in pick.sample(wanted, min(len(wanted), pick.randint(2, 4)))
            ]
            self.sell(buyer.key, lines, when, days=pick.choice((8, 14, 30)), description="Hardware efter aftale")
        else:
            hours = Decimal(pick.randint(1, 40)) / 2
            lines = [self._line("hour", currency, hours), self._line("pro_year", currency)]
            self.sell(buyer.key, lines, when, metadata={"order ref": f"PO-{1000 + n}"})

    def _special(self) -> None:
        """What makes invoices hard."""
        add = self.store.add_coupon
        before = self.start - timedelta(days=100)
        ten, fifth, half = (add(f"{percent} % rabat", at=before, percent=percent) for percent in (10, 20, 50))
        hundred = add("100 kr. rabat", at=before, amount_off=10_000)
        line, sell = self._line, self.sell
        self.corrected["bager"] = sell("bager", [line("pro", "dkk", 3)], 0.11, coupons=[ten])
        sell("hotel", [line("hour", "dkk", 2), line("sensor", "dkk", 10)], 0.23, coupons=[fifth], days=14)
        sell("vinhandel", [line("team", "dkk")], 0.31, coupons=[hundred])
        sell("galleri", [line("pro_year", "dkk", coupon=fifth), line("course", "dkk", 2)], 0.37)
        sell("maskiner", [line("sensor", "dkk", 4, coupon=half), line("hour", "dkk", Decimal("7.5"))], 0.42, coupons=[fifth])
        sell("brueckner", [line("enterprise", "eur")], 0.44, coupons=[ten])
        sell("dollar", [line("gateway", "usd", 3, coupon=ten), line("freight", "usd")], 0.47)
        unused = Line(self.prices["pro", "dkk"], amount=-15_000, description="Ubrugt tid på Nordlys Pro", proration=True)
        rest = Line(self.prices["team", "dkk"], amount=45_000, description="Resterende tid på Nordlys Team", proration=True)
        sell("arkitekt", [unused, rest, line("team", "dkk")], 0.52, subscription=True)
        sell(
            "celtic",
            [Line(self.prices["pro", "eur"], amount=-1317, proration=True), line("team", "eur")],
            0.53,
            subscription=True,
        )
        many = [line(key, "dkk", n + 1) for n, key in enumerate([good.key for good in GOODS if not good.vat_free][:8] * 2)]
        sell("planteskole", [one for one in many if one.price], 0.55, days=30, footer="Tak for handlen 🎉")
        sell("region", many[:13], 0.56, days=30, custom_fields=[{"name": "Rekvisition", "value": "RV-2231"}])
        self.corrected["fysio"] = sell("fysio", [line("api", "dkk", 24_105)], 0.6)
        self.corrected["tulp"] = sell("tulp", [line("api", "eur", 1_204_515)], 0.61)
        sell("cykler", [line("sms", "dkk", 137)], 0.62)
        for key, gross, when in (("privat1", 37_375, 0.64), ("privat2", 124_900, 0.66), ("klinik", 9_995, 0.68)):
            sensor = Line(product=self.products["sensor"], unit_amount=Decimal(gross))
            self.corrected[key] = sell(key, [sensor], when, rates=[self.vat_inside])
        inside = [
            Line(product=self.products[key], unit_amount=Decimal(gross), quantity=2)
            for key, gross in (("cable", 9_900), ("battery", 4_900))
        ]
        sell("musik", inside, 0.69, rates=[self.vat_inside])
        sell("frivillig", [line("pro", "dkk")], 0.7)
        sell("skole", [line("course", "dkk"), line("gift", "dkk", 3)], 0.71)
        sell("tandlaege", [line("setup", "dkk"), line("spare", "dkk", 2)], 0.72)
        free_text = Line(
            amount=125_000, description="Særligt aftalt arbejde:\n• udviklet efter mål\n• leveret “som beset” – 100 % færdigt"
        )
        sell("brygger", [free_text, line("hour", "dkk")], 0.73)
        sell("kajak", [line("gateway", "dkk", 2), line("freight", "dkk")], 0.74, days=14)
        trial = sell(
            "vognmand",
            [Line(self.prices["start", "dkk"], amount=0, description="Prøveperiode")],
            0.75,
        )
        self.documents.remove(trial)
        self.skipped[trial] = "S-ZERO"

    def _endings(self) -> None:
        """Invoices that are not paid, or not in the usual way."""
        endings: tuple[Ending, ...] = ("open", "draft", "void", "uncollectible", "paid_elsewhere", "paid_late")
        keys = ("kaffebar", "skog", "maple", "thames", "vognmand", "anna", "tea")
        for n in range(18):
            key, ending = keys[n % len(keys)], endings[n % len(endings)]
            lines = [self._line("pro", self.buyers[key].currency, n + 1)]
            id_ = self.sell(key, lines, 0.1 + n / 25, ending=ending, days=14)
            if ending == "open":
                self.corrected.setdefault("open", id_)

    def _to_be_held(self) -> None:
        """One or more invoices for each reason to hold."""
        line, sell = self._line, self.sell
        sell("nowhere", [line("pro", "dkk")], 0.15, held=["E-VAT-ZONE", _OF_CUSTOMER], rates=[self.vat])
        sell("unverified", [line("pro", "eur")], 0.2, held=["E-VAT-ID", _OF_CUSTOMER])
        sell("pending", [line("team", "eur", 2)], 0.25, held=["E-VAT-ID", _OF_CUSTOMER])
        for key, amount, when in (("sakura", 48_000, 0.3), ("edelweiss", 39_900, 0.35)):
            sell(
                key, [Line(product=self.products["sensor"], unit_amount=Decimal(amount))], when, held=["E-CURRENCY", _OF_CUSTOMER]
            )
        sell("tyve", [line("hour", "dkk", 4)], 0.4, held=["E-VAT-RATE", "E-TOTAL"], rates=[self.twenty])
        sell("barred", [line("pro", "dkk")], 0.45, held=["E-CUST-BARRED", _OF_CUSTOMER])
        sell("shared", [line("team", "dkk")], 0.5, held=["E-MATCH-MANY", _OF_CUSTOMER])
        sell("nameless", [line("sensor", "dkk")], 0.55, held=["E-MATCH-EMPTY", _OF_CUSTOMER])
        sell("hotel", [line("pro", "dkk"), line("classic", "dkk")], 0.6, held=["E-PROD-BARRED", _OF_PRODUCT])
        # 149.97 with 25 % inside is 119.98 + 29.99; the ledger makes 149.98 of the same net.
        sell(
            "privat1",
            [Line(product=self.products["sensor"], unit_amount=Decimal(14_997))],
            0.65,
            held=["E-TOTAL"],
            rates=[self.vat_inside],
        )
        closed = datetime(self.now.year - 1, 12, 15, 12, tzinfo=UTC)
        sell("bager", [line("pro", "dkk")], 0.7, held=["E-PERIOD"], effective=closed)
        january = datetime(self.now.year, 1, 15, 12, tzinfo=UTC)
        if self.start.month > 1:  # January is barred only when the data begin after it
            sell("fysio", [line("pro", "dkk")], 0.75, held=["E-PERIOD"], effective=january)

    def _corrections(self) -> None:
        """What was taken back: in full, in part, in another currency, before it was due; and a refund that nobody explained."""
        store = self.store
        returned = store.create_credit_note(self.corrected["fysio"], at=self._at(0.82), reason="order_change")
        month = self._credited("bager", 29_900)
        a_month = store.create_credit_note(self.corrected["bager"], [month], at=self._at(0.84), to_balance=33_638)
        goodwill = store.create_credit_note(self.corrected["tulp"], [self._credited("tulp", 5_000)], at=self._at(0.86))
        self.documents += [returned, a_month, goodwill]
        early = store.create_credit_note(self.corrected["open"], [self._credited("open", 9_900)], at=self._at(0.9))
        self.skipped[early] = "S-NOT-DUE"
        (charge,) = (
            store.get("payment_intent", paid["payment"]["payment_intent"])["latest_charge"]
            for paid in store.rows("invoice_payment")
            if paid["invoice"] == self.corrected["klinik"]
        )
        self.held[store.refund(charge, 2_500, at=self._at(0.92), reason="requested_by_customer")] = ["E-CREDITED"]

    def _credited(self, key: str, amount: int) -> CreditLine:
        (line,) = self.store.invoice(self.corrected[key])["lines"]["data"]
        return CreditLine(line["id"], amount)

    def _payments(self) -> None:
        """Payments without an invoice; in Denmark the VAT is inside."""
        keys = ("kaffebar", "privat2", "bager", "redwood", "thames", "brueckner", "fjell", "cykler", "kajak", "greta", "maple")
        for n, key in enumerate(keys):
            buyer = self.buyers[key]
            amount = 12_500 + 1_995 * 5 * n
            id_ = self.store.charge(
                self.customers[key],
                amount,
                at=self._at(0.05 + n / 13),
                currency=buyer.currency,
                description=f"Onlinebestilling #{5100 + n}",
            )
            self.documents.append(id_)
        odd = self.store.charge(self.customers["privat1"], 12_497, at=self._at(0.33), description="Onlinebestilling #5097")
        self.held[odd] = ["E-TOTAL"]
        guest = self.store.charge(None, 25_000, at=self._at(0.44), description="Gæstebestilling")
        self.held[guest] = [_OF_CUSTOMER]
        for when in (0.5, 0.8):
            failed = self.store.charge(self.customers["musik"], 49_900, at=self._at(when), status="failed", paid=False)
            self.skipped[failed] = "S-CHARGE-FAILED"
