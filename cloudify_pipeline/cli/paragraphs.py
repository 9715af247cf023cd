"""Sentences for people, wrapped at the terminal's edge: in a table of many columns they cannot be read."""

from rich.padding import Padding
from rich.text import Text

from cloudify_pipeline.cli.output import console, printable

_STYLES = {"error": "bold red", "warning": "bold yellow", "held": "bold yellow"}


def heading(text: str) -> None:
    """What comes next, with an empty line before it."""
    console().print()
    console().print(Text(printable(text), style="bold"))


def paragraph(text: str, *, indent: int = 0, style: str = "") -> None:
    """One paragraph, `indent` columns in; `style` is error, warning, held or nothing."""
    words = Text(printable(text), style=_STYLES.get(style, ""), overflow="fold")
    console().print(Padding(words, (0, 0, 0, indent), expand=False))
