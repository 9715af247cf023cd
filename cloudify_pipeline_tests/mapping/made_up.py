"""Small catalogues that no real service has."""

from cloudify_pipeline.mapping.fields import Field, FieldCatalogue

TARGETS = FieldCatalogue(
    "ledger customer",
    [
        Field("name", "text", max_length=20, min_length=1, required=True),
        Field("email", "email", max_length=255),
        Field("address", "address", max_length=30),
        Field("phone", "phone"),
        Field("country", "text", max_length=50),
        Field("currency", "currency"),
        Field("ean", "text", max_length=13),
        Field("barred", "boolean"),
        Field("employee", "integer", minimum=1, maximum=999),
        Field("credit", "decimal", decimals=2),
        Field("delivery.date", "date"),
        Field("notes.heading", "text", max_length=250),
        Field("notes.text", "text", max_length=1000),
        Field("kind", "text", allowed=("ean", "cvr")),
        Field("number", "integer", reserved="the setting customers.number decides it"),
        Field("balance", "decimal", writable=False),
    ],
)

SOURCES = FieldCatalogue(
    "Stripe customer",
    [
        Field("id", "text"),
        Field("number", "text"),
        Field("name", "text"),
        Field("email", "email"),
        Field("phone", "phone"),
        Field("address", "address"),
        Field("address.city", "text"),
        Field("address.country", "country"),
        Field("currency", "currency"),
        Field("created", "timestamp"),
        Field("balance", "money"),
        Field("livemode", "boolean"),
        Field("tax_ids", "list"),
        Field("locales", "list"),
        Field("customer", "object"),
    ],
    open_paths=("metadata", "customer.metadata"),
)
