"""What Nordlys Software ApS sells, and at which net prices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Good:
    """A product with one price per currency, in minor units; `interval` makes it a subscription."""

    key: str
    name: str
    prices: Mapping[str, Decimal]
    sku: str | None = None
    interval: str | None = None
    description: str | None = None
    vat_free: bool = False
    """The ledger has it in a group without Danish VAT."""
    metadata: Mapping[str, str] = field(default_factory=dict)


def _prices(
    dkk: str, eur: str | None = None, usd: str | None = None, gbp: str | None = None, nordic: str | None = None
) -> dict[str, Decimal]:
    """Minor units; kroner of Sweden and Norway cost the same."""
    given = {"dkk": dkk, "eur": eur, "usd": usd, "gbp": gbp, "sek": nordic, "nok": nordic}
    return {currency: Decimal(amount) for currency, amount in given.items() if amount is not None}


# Prices are multiples of four minor units: a quarter of them is whole, and no rounding of VAT is in the way.
GOODS = (
    Good("pro", "Nordlys Pro, månedlig", _prices("29900", "4000", "4400", "3600", "44800"), "PRO-M", "month"),
    Good("pro_year", "Nordlys Pro, årlig", _prices("299000", "40000", "44000", "36000", "448000"), "PRO-Y", "year"),
    Good("team", "Nordlys Team, månedlig", _prices("89900", "12000", "13200", "10400", "134800"), "TEAM-M", "month"),
    Good("sensor", "Nordlys sensor", _prices("44900", "6000", "6600", "5200", "67200"), "SENSOR-1"),
    Good("hour", "Konsulenttime", _prices("115000", "15400", "16800", "13200", "172400"), "HOUR"),
    Good("course", "Kursus, momsfrit", _prices("450000", "60000"), "COURSE", vat_free=True),
    Good("gift", "Gavekort", _prices("50000"), "GIFT", vat_free=True),
    Good("gateway", "Nordlys Gateway (4G)", _prices("189900", "25400", "27900", "21900", "284800"), "GW-4G"),
    Good("cable", "Kabel, 5 m", _prices("7900", "1100"), "CABLE-5M"),
    Good("battery", "Batteri til sensor", _prices("3900", "520"), "BAT-1"),
    Good("bracket", "Vægbeslag & skruer", _prices("5900"), "BRACKET-2"),
    Good("start", "Nordlys Start, månedlig", _prices("9900", "1320", "1480", "1160", "14800"), "START-M", "month"),
    Good("enterprise", "Nordlys Enterprise, årlig",
         _prices("4800000", "640000", "708000", "552000", "7192000"), "ENT-Y", "year"),
    Good("api", "API-kald", _prices("0.381", "0.0512", "0.0564"), "API-CALL",
         description="Pris pr. kald; faktureres månedligt bagud"),
    Good("sms", "SMS-beskeder (Norden)", _prices("33.25", "4.45"), "SMS"),
    Good("support", "Udvidet support «Nord 24/7»",
         _prices("199900", "26800", "29400", "22800", "299600"), "SUPPORT-24", "month"),
    Good("setup", "Opsætning og oplæring på stedet hos kunden, " + "inklusive kørsel, montering, test og aflevering " * 3,
         _prices("395000", "52800"), None, description="Fast pris\r\nInkl. kørsel på Sjælland"),
    Good("spare", "Reservedelspakke [A] * (2 dele) $", _prices("24900", "3320", "3680"), "SPARE[A](2)"),
    Good("freight", "Fragt og håndtering", _prices("8900", "1200", "1320"), "FREIGHT"),
    Good("classic", "Nordlys Classic (udgået)", _prices("19900"), "LEGACY-1", "month"),
)  # fmt: skip
