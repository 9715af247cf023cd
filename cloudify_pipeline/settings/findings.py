"""What a cross-check of the settings looks at, and what it says."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudify_pipeline.settings.models import ConnectionSettings

if TYPE_CHECKING:
    from cloudify_pipeline.settings.load import Catalogues


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says of a key: refused, or (for `refused=False`) allowed with a warning."""

    key: str
    found: str
    allowed: str
    refused: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """What rules look at: the settings, the file as written, and the catalogues when they are known."""

    settings: ConnectionSettings
    written: Mapping[str, Any]
    catalogues: "Catalogues | None" = None

    def wrote(self, section: str, key: str) -> bool:
        """Whether the file itself has the key."""
        inside = self.written.get(section)
        return isinstance(inside, Mapping) and key in inside


Rule = Callable[[Seen], Iterator[Finding]]
