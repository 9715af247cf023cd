"""The signs in an e-conomic refusal, and the catalogue code that each stands for (reference/economic.md §8).

Codes come first, then the family that a published name belongs to, then words: the live server gives many refusals no code
at all, and words may be in the agreement's language. A refusal without any of these signs is E-UNMAPPED; it is never guessed.
E-REFUSED is for refusals that are known and that only their own words explain.
"""

import re
from dataclasses import dataclass

WRAPPER = "E04300"
"""`Validation failed`: says that there are findings, not what they are."""

_CODES = {
    "E02250": "E-CONN-GRANT",
    "E04042": "E-DUE-MISSING",
    "E04500": "E-NULL",
    "E04730": "E-REQUIRED",
    "E04740": "E-DECIMALS",
    "E04760": "E-DUE-EARLY",
    "E04800": "E-REFERENCE",
    "E04810": "E-PAGE",
    "E04870": "E-PERIOD",
    "E06000": "E-REFERENCE",
    "E06010": "E-DUPLICATE-NUMBER",
    "E06151": "E-TERMS-IMMUTABLE",
    "E06600": "E-PROD-BARRED",
    "E07080": "E-REFERENCE",
    "E07140": "E-REFERENCE",
    "E07150": "E-VOUCHER-ACCT",
    "E07180": "E-TERMS-TYPE",
    "PayloadChanged": "E-IDEMPOTENCY",
    "URLChanged": "E-IDEMPOTENCY",
    "UpdateConflict": "E-CONFLICT",
    "ResourceNotFound": "E-GONE",
    "BadFilterRequest": "E-FILTER",
    "InvalidInput": "E-VALUE",
    "AccessDeniedAgreementMissingModules": "E-CONN-MODULE",
    "CustomerAlreadyExists": "E-CUST-TAKEN",
    "CustomerInvalidCustomerNumber": "E-CUST-NUM",
    "CustomerInvalidEAN": "E-EAN",
    "CustomerInvalidEANThirteenDigits": "E-EAN",
    "CustomerIsBarred": "E-CUST-BARRED",
    "CustomerInvalidVatZone": "E-REFERENCE",
    "CustomerInvalidGroupId": "E-REFERENCE",
    "CustomerInvalidPaymentTerm": "E-REFERENCE",
    "CustomerBarredPaymentTerm": "E-REFERENCE",
    "InvalidCurrency": "E-CURRENCY",
    "JournalEntryCurrencyNotFound": "E-CURRENCY",
}

_AT = {
    # E04041 is two things: a barred period when it stands at a date, an unusable account elsewhere (§8.1).
    ("E04041", "date"): "E-PERIOD",
    ("E04041", "account"): "E-VOUCHER-ACCT",
    ("E04041", "contraaccount"): "E-VOUCHER-ACCT",
    ("E06000", "currency"): "E-CURRENCY",
    ("E06000", "customer"): "E-CUST-MISSING",
    ("E06000", "product"): "E-PROD-MISSING",
    ("E06000", "draftinvoice"): "E-GONE",
    ("E06010", "customernumber"): "E-CUST-TAKEN",
}

_FAMILIES = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"AccountingYear(Closed|DoesNotExist|PeriodBarred)|VoucherAccountingYear|NotIn(Valid)?AccountingYear", "E-PERIOD"),
        (r"(BARRED|CLOSED)PERIODS|CLOSED_ACCOUNTING_YEAR", "E-PERIOD"),
        (r"^JournalEntry(Wrong)?(Contra)?Account", "E-VOUCHER-ACCT"),
        (r"(ModuleAccess|WithoutAccess|AccessNotAccessible)$", "E-CONN-MODULE"),
        (r"TooLong|Char(s)?Max$|Maximum\d+Chars$", "E-TOO-LONG"),
        (r"Already(Exist|In?Use|Has)|IdExists$|YearExists$", "E-DUPLICATE-NUMBER"),
        (r"(NotFound|DoesNotExist|NotAccessible|Barred|IsClosed|IsMainProject)$|NOTFOUND$", "E-REFERENCE"),
        (r"NotSet$|Missing|Required|Null|Empty$|CannotBeEmpty", "E-REQUIRED"),
        (r"Invalid|Wrong|MustBe|DoesNotMatch|NotWithin|NotInRange|OutOfRange|Not_Numeric|NotCorrect|Mismatch", "E-VALUE"),
        (r"(?i)too_?(big|short|many)|DigitLimit|PrecisionError|ExchangeRateError|EndBeforeStart", "E-VALUE"),
        (r"InUse|IsInUse|Used(On|By|In)|BeforeDeleting|CannotBeChanged|annotChange|ChangeNot(Allowed)|NotEnabled", "E-REFUSED"),
        (r"Accrual|Specified$|Simultaneously$|DataIntegrity", "E-REFUSED"),
    )
)


@dataclass(frozen=True, slots=True)
class _Words:
    says: re.Pattern[str]
    code: str
    at: str | None = None


def _words(says: str, code: str, at: str | None = None) -> _Words:
    return _Words(re.compile(says, re.IGNORECASE), code, at)


_WORDS = (
    _words(r"licen[sc]e is read-only", "E-CONN-READONLY"),
    _words(r"(minimum|maximum) value", "E-CUST-NUM", at="customernumber"),
    _words(r"invalid format for \S* ?customer number", "E-CUST-NUM"),
    _words(r"got null|integer 0 is less than minimum", "E-NULL"),
    _words(r"exceeds maximum length", "E-TOO-LONG"),
    _words(r"required properties are missing|must have a value when", "E-REQUIRED"),
    _words(
        r"less than minimum|exceeds maximum value|does not (validate against format|match regex)|not defined in enum", "E-VALUE"
    ),
    _words(r"invalid type\. expected|could not parse (the request body|query string sort)", "E-REQUEST"),
    _words(r"\b(customer|kunden?|debitor(en)?) \S+ (is barred|er spærret)", "E-CUST-BARRED"),
    _words(r"\b(product|varen?) \S+ (is barred|er spærret)", "E-PROD-BARRED"),
    _words(r"\blayout\b.*(is deleted|er slettet)|vat zone is not enabled", "E-REFERENCE"),
    _words(r"no sales account in the vat zone", "E-PROD-GROUP"),
    _words(r"has no ean\b", "E-EAN"),
    _words(r"\bnumber \S+ is already in use", "E-DUPLICATE-NUMBER"),
    _words(r"(barred|closed) period|within an accounting year|perioden er (spærret|lukket)", "E-PERIOD"),
    _words(r"has no lines with a product|cannot be deleted because it is in use", "E-REFUSED"),
)

_STATUSES = {
    401: "E-CONN-GRANT",
    403: "E-CONN-ROLE",
    404: "E-GONE",
    405: "E-REQUEST",
    406: "E-REQUEST",
    408: "E-SERVER",
    409: "E-CONFLICT",
    415: "E-REQUEST",
    429: "E-RATE",
}


def of_finding(code: str, name: str, message: str) -> str | None:
    """The catalogue code of one finding: its own code, the property it is about, its words. None: no known sign."""
    at = name.lower()
    known = _AT.get((code, at)) or _CODES.get(code)
    if known is None and code and code != WRAPPER:
        known = next((to for pattern, to in _FAMILIES if pattern.search(code)), None)
    return known or next((words.code for words in _WORDS if words.at in (None, at) and words.says.search(message)), None)


def of_status(status: int) -> str:
    """The catalogue code of an answer that has no other sign than its status."""
    return _STATUSES.get(status) or ("E-UNMAPPED" if 400 <= status < 500 else "E-SERVER")


CODES_IN_USE = frozenset(
    {
        "E-UNMAPPED",
        *_CODES.values(),
        *_AT.values(),
        *(code for _, code in _FAMILIES),
        *(words.code for words in _WORDS),
        *_STATUSES.values(),
    }
)
"""Every catalogue code that a refusal can come to."""
