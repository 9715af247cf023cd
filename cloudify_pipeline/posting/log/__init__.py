# Tables beside those of schema.py are made with them only when they are known before a log is opened.
from cloudify_pipeline.posting.log import alerts, checks, hints, persons, standing, vat_numbers, written_back  # noqa: F401
