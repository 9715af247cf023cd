"""The customers of Nordlys Software ApS in Stripe.

Some are already in the demo agreement of the ledger, under the number in their metadata or under their e-mail.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Buyer:
    """One customer. `place` is line 1, line 2, postal code, city; `vat` a number and what the registry said of it."""

    key: str
    name: str
    email: str | None
    country: str | None
    place: tuple[str | None, str | None, str | None, str | None]
    currency: str = "dkk"
    vat: tuple[str, str, str] | None = None
    exempt: str = "none"
    metadata: Mapping[str, str] = field(default_factory=dict)
    phone: str | None = None
    credit: int = 0
    """Prepaid, in minor units."""


def _eu(number: str, status: str = "verified") -> tuple[str, str, str]:
    return ("eu_vat", number, status)


_NUMBER = "economic_customer_number"
_LONG_NAME = "Andelsselskabet for Fælles Indkøb af Gødning, Foderstoffer, Maskiner, Sædekorn og Øvrige Landbrugsartikler " + (
    "i Vendsyssel, Himmerland, Thy og Mors samt Omegn"
)

DANISH = (
    Buyer("kaffebar", "Havnens Kaffebar ApS", "hej@havnenskaffe.example", "DK", ("Nordre Toldbod 7", None, "1259", "København K"),
          vat=_eu("DK25313763"), metadata={_NUMBER: "1001"}),
    Buyer("maskiner", "Frøstrup Maskinværksted A/S", "faktura@froestrup.example", "DK", ("Rødspætteallé 4", None, "7741",
          "Frøstrup"),
          vat=_eu("DK10403782"), phone="+45 97 99 10 00"),
    Buyer("region", "Region Vestkysten", "faktura@vestkysten.example", "DK", ("Regionsvej 1", "Indgang C, 2. sal", "6700",
          "Esbjerg"),
          vat=_eu("DK29190909"), metadata={_NUMBER: "1011", "ean": "5790001330552", "order ref": "PO 4711/A"}),
    Buyer("bager", "Bager & Søn [Østerbro]", "bager+soen@oesterbro.example", "DK",
          ("Østerbrogade 101", "st. tv.", "2100", "København Ø"), vat=_eu("DK11844537")),
    Buyer("cykler", "Cykelsmeden 🚲 Nørrebro", "smed@cykel.example", "DK", ("Nørrebrogade 12", None, "2200", "København N")),
    Buyer("andel", _LONG_NAME, "indkoeb@andel.example", "DK", ("Landevejen 1", None, "9700", "Brønderslev"),
          vat=_eu("DK20357622")),
    Buyer("arkitekt", "Arkitekterne \"Lys & Luft\" P/S", "tegnestue@lysluft.example", "DK",
          ("Refshalevej 163", "Bygning 2\nPorten til højre", "1432", "København K"), vat=_eu("DK30515196"),
          metadata={"order ref": "Sag 88 (fase 2)"}),
    Buyer("skole", "Ærøskøbing Friskole", "kontor@friskole.example", "DK", ("Søndergade 3", None, "5970", "Ærøskøbing")),
    Buyer("klinik", "Klinik for Fodterapi v/ Åse Møller", "aase@fodterapi.example", "DK", ("Algade 45", "1.", "4000",
          "Roskilde")),
    Buyer("brygger", "Bryggeriet *Tre Stjerner* IVS", "ordre*3@stjerner.example", "DK", ("Bryggervej 9", None, "5700",
          "Svendborg"), vat=_eu("DK10380065")),
    Buyer("vognmand", "Vognmand Jens $ Jensen", "jens$jensen@vogn.example", "DK", ("Industrivej 22", None, "7400", "Herning"),
          vat=_eu("DK13983054")),
    Buyer("galleri", "Galleri O'Keefe", "o'keefe@galleri.example", "DK", ("Bredgade 58", None, "1260", "København K")),
    Buyer("fysio", "FysioFit (Aalborg) ApS", "bogholderi@fysiofit.example", "DK", ("Boulevarden 2", None, "9000", "Aalborg"),
          vat=_eu("DK36474572")),
    Buyer("planteskole", "Sønderjysk Planteskole A/S", "planter@soenderjysk.example", "DK", ("Gartnervej 7", None, "6200",
          "Aabenraa"), vat=_eu("DK21389013")),
    Buyer("frivillig", "Foreningen De Frivillige", "post@frivillige.example", "DK", ("Torvet 1", None, "8600", "Silkeborg"),
          credit=50_000),
    Buyer("vinhandel", "Vin, Ost & Så Videre", "kontakt@vinogost.example", "DK", ("Jægersborggade 40", None, "2200",
          "København N"), vat=_eu("DK27775780")),
    Buyer("musik", "Musikhuset Takt;Tone", "takt@tone.example", "DK", ("Skt. Anna Gade 5", None, "8000", "Aarhus C")),
    Buyer("hotel", "Hotel Skagen Strand", "booking@skagenstrand.example", "DK", ("Strandvej 4", None, "9990", "Skagen"),
          vat=_eu("DK12465890")),
    Buyer("privat1", "Freja Nygård", "freja.nygaard@privat.example", "DK", ("Hyben Allé 31", None, "2770", "Kastrup")),
    Buyer("privat2", "Søren Kierkegaard-Øllgård", "soeren@privat.example", "DK", ("Frederiksborggade 9", "3. th", "1360",
          "København K")),
    Buyer("tandlaege", "Sølvtorvet Tandlæger I/S", "kontor@soelvtorvet.example", "DK", ("Sølvtorvet 2", None, "1307",
          "København K"), exempt="exempt"),
    Buyer("ambassade", "Ambassaden ved Øresund", "finance@ambassade.example", "DK", ("Dag Hammarskjölds Allé 24", None, "2100",
          "København Ø"), exempt="exempt"),
)  # fmt: skip

EU_BUSINESSES = (
    Buyer("brueckner", "Brückner & Söhne GmbH", "rechnung@brueckner.example", "DE", ("Hauptstraße 1", None, "10115", "Berlin"),
          "eur",
          _eu("DE214304432"), metadata={_NUMBER: "1005"}),
    Buyer("lindqvist", "Lindqvist Design AB", "ekonomi@lindqvist.example", "SE", ("Storgatan 14", None, "211 42", "Malmö"), "sek",
          _eu("SE524090815101")),
    Buyer("lumiere", "Atelier Lumière SARL", "atelier@lumiere.example", "FR", ("12 rue des Écoles", "Bât. B", "75005", "Paris"),
          "eur",
          _eu("FR92726470016"), metadata={_NUMBER: "1009"}),
    Buyer("hafen", "Hafenlogistik Nord GmbH & Co. KG", "ap@hafen.example", "DE", ("Am Sandtorkai 5", None, "20457", "Hamburg"),
          "eur", _eu("DE611195866")),
    Buyer("tulp", "Tulp Systems B.V.", "finance@tulp.example", "NL", ("Keizersgracht 100", None, "1015 AA", "Amsterdam"), "eur",
          _eu("NL660233952B01"), "reverse"),
    Buyer("windmolen", "De Windmolen N.V.", "crediteuren@windmolen.example", "NL", ("Coolsingel 42", None, "3011 AD",
          "Rotterdam"), "eur", _eu("NL816002976B01")),
    Buyer("sauna", "Järvi Saunat Oy", "laskut@jarvi.example", "FI", ("Mannerheimintie 8", None, "00100", "Helsinki"), "eur",
          _eu("FI34208870"), "reverse"),
    Buyer("celtic", "O'Brien & Daughters Ltd", "o'brien@celtic.example", "IE", ("1 Merrion Square", None, "D02 XY12", "Dublin"),
          "eur", _eu("IE1247516A")),
    Buyer("zamek", "Zamek Królewski Sp. z o.o.", "faktury@zamek.example", "PL", ("ul. Długa 7", None, "00-238", "Warszawa"),
          "eur", _eu("PL2859873384")),
    Buyer("sol", "Sol y Sombra S.L.", "pagos@sol.example", "ES", ("Calle Mayor 3", None, "28013", "Madrid"), "eur",
          _eu("ESB58334582")),
    Buyer("vetro", "Vetro di Murano S.r.l.", "conti@vetro.example", "IT", ("Fondamenta dei Vetrai 50", None, "30141",
          "Venezia"), "eur", _eu("IT78646570131")),
    Buyer("alpen", "Alpenglühen Handels GmbH", "buchhaltung@alpen.example", "AT", ("Graben 21", None, "1010", "Wien"), "eur",
          _eu("ATU74997337")),
    Buyer("skog", "Skog & Sjö Konsult AB", "faktura@skogsjo.example", "SE", ("Kungsgatan 3", None, "411 19", "Göteborg"), "sek",
          _eu("SE798785566001")),
)  # fmt: skip

EU_CONSUMERS = (
    Buyer("greta", "Greta Müller", "greta@post.example", "DE", ("Lindenweg 4", None, "80331", "München"), "eur"),
    Buyer("anna", "Anna Sjöström", "anna@brev.example", "SE", ("Sveavägen 10", None, "111 57", "Stockholm"), "sek"),
    Buyer("luc", "Luc d'Aubigné", "luc@courrier.example", "FR", ("3 place du Marché", None, "69001", "Lyon"), "eur"),
)

ABROAD = (
    Buyer("redwood", "Redwood Analytics Inc.", "ap@redwood.example", "US", ("500 Market Street", "Suite 1200", "94105",
          "San Francisco"), "usd"),
    Buyer("maple", "Maple & Birch LLC", "billing@maple.example", "US", ("77 Elm Street", None, "05401", "Burlington"), "usd"),
    Buyer("dollar", "Dollar $ign Studios", "pay$*me@dollar.example", "US", ("1 Wall Street", "Fl. 40", "10005", "New York"),
          "usd"),
    Buyer("thames", "Thames Valley Robotics Ltd", "accounts@thames.example", "GB", ("10 Queen's Road", None, "RG1 4AR",
          "Reading"), "gbp",
          ("gb_vat", "GB980780684", "verified")),
    Buyer("tea", "The Tea Cosy (Bath) Ltd", "hello@teacosy.example", "GB", ("4 Milsom Street", None, "BA1 1DA", "Bath"), "gbp"),
    Buyer("fjell", "Fjell og Vidde AS", "faktura@fjell.example", "NO", ("Storgata 15", None, "0155", "Oslo"), "nok",
          ("no_vat", "123456785MVA", "unavailable")),
    Buyer("nordlys_no", "Tromsø Nordlysreiser AS", "post@tromso.example", "NO", ("Sjøgata 2", None, "9008", "Tromsø"), "nok"),
    Buyer("matterhorn", "Matterhorn Präzision AG", "finanzen@matterhorn.example", "CH", ("Bahnhofstrasse 30", None, "3920",
          "Zermatt"), "eur"),
    Buyer("kajak", "Nuuk Kajak Tours", "info@nuukkajak.example", "GL", ("Aqqusinersuaq 5", None, "3900", "Nuuk")),
    Buyer("tvoroyri", "Tvøroyrar Fiskavirki P/F", "roknskap@tvoroyri.example", "FO", ("Sjógøta 14", None, "800", "Tvøroyri")),
)  # fmt: skip

HELD = (
    Buyer("nowhere", "Anonym Web-kunde", "anonym@web.example", None, (None, None, None, None)),
    Buyer("unverified", "Briefkasten UG", "post@briefkasten.example", "DE", ("Postfach 99", None, "60311", "Frankfurt am Main"),
          "eur",
          _eu("DE200958794", "unverified")),
    Buyer("pending", "Chocolaterie du Sablon SRL", "compta@sablon.example", "BE", ("Place du Grand Sablon 8", None, "1000",
          "Bruxelles"), "eur",
          _eu("BE0728494843", "pending")),
    Buyer("sakura", "Sakura 株式会社", "keiri@sakura.example", "JP", ("1-1 Chiyoda", None, "100-0001", "Tokyo"), "jpy"),
    Buyer("edelweiss", "Edelweiss Uhren GmbH", "buchhaltung@edelweiss.example", "CH", ("Limmatquai 2", None, "8001", "Zürich"),
          "chf"),
    Buyer("tyve", "Tyve Procent ApS", "moms@tyve.example", "DK", ("Prøvevej 20", None, "2300", "København S"),
          vat=_eu("DK40004874")),
    Buyer("barred", "Tidligere Kunde ApS", "kontor@tidligere.example", "DK", ("Havnegade 12", None, "5000", "Odense C"),
          metadata={_NUMBER: "1007"}),
    Buyer("shared", "Fjord & Fjeld", "regnskab@fjordogfjeld.example", "DK", ("Åboulevarden 31", None, "8000", "Aarhus C")),
    Buyer("nameless", "Kunde uden e-mail", None, "DK", ("Ukendt Allé 1", None, "2500", "Valby")),
)  # fmt: skip

ALL = (*DANISH, *EU_BUSINESSES, *EU_CONSUMERS, *ABROAD, *HELD)
