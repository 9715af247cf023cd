# Tables beside those of schema.py are made with them only when they are known before a log is opened.
from cloudify_pipeline.posting.log import (  # noqa: F401
    alerts,
    checks,
    decisions,
    hints,
    lease,
    persons,
    standing,
    stripe_bindings,
    vat_numbers,
    written_back,
)
