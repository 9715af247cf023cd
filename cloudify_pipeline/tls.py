"""One TLS context for the whole process."""

import ssl
from functools import cache

import certifi


@cache
def tls() -> ssl.SSLContext:
    """The context that every HTTP client verifies with. Making one reads all certificates, which takes 25 ms each time."""
    return ssl.create_default_context(cafile=certifi.where())
