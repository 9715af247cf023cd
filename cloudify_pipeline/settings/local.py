"""Which addresses are this machine's own: only there may a sandbox stand."""

from urllib.parse import urlsplit

from cloudify_pipeline.settings.models import ConnectionSettings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def ledger_is_local(settings: ConnectionSettings) -> bool:
    """Whether the ledger's address is on this machine: then nobody's books are behind it."""
    section = settings.economic if settings.ledger == "economic" else settings.business_central
    return section is not None and urlsplit(section.api_base).hostname in LOOPBACK
