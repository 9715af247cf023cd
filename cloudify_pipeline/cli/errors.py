"""`cloudify errors`: the catalogue of error codes, and the page of the documents that is made from it."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cloudify_pipeline.catalogue import CATALOGUE, LANGUAGES, Entry, Language, entry, language_in_force, owner_name
from cloudify_pipeline.cli.output import DONE, AsJson, say, show_json, table
from cloudify_pipeline.errors import SettingsError, SettingsProblem

Code = Annotated[str | None, typer.Argument(metavar="[CODE]", help="One code, such as E-PERIOD; without it all are listed.")]
InLanguage = Annotated[str | None, typer.Option("--language", help="en or da; else what CLOUDIFY_LANGUAGE says.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="A Markdown page: docs/errors.md is made with it.")]

_COLUMNS: dict[Language, tuple[str, ...]] = {
    "en": ("Code", "What happened", "What to do", "Who", "Tried again by itself"),
    "da": ("Kode", "Hvad der skete", "Hvad du kan gøre", "Hvem", "Forsøges igen af sig selv"),
}
_YES: dict[Language, tuple[str, str]] = {"en": ("yes", "no"), "da": ("ja", "nej")}
_PAGE: dict[Language, str] = {
    "en": """# Error codes

Every record that is held, failed or skipped carries one of these codes, and every error of a command does. A code never
changes its meaning. `cloudify errors CODE` shows one of them; [på dansk](errors.da.md).

E-REFUSED is for refusals that are known and that only the service's own words explain. E-UNMAPPED is for words that nobody
has met yet: they stand in the message with the service's own code, the check `no_unmapped_refusals` counts them, and an alert
tells of them.
""",
    "da": """# Fejlkoder

Hver post, der er tilbageholdt, fejlet eller sprunget over, bærer en af disse koder, og det gør enhver fejl fra en kommando
også. En kode skifter aldrig betydning. `CLOUDIFY_LANGUAGE=da` viser teksterne på dansk overalt; [in English](errors.md).

E-REFUSED bruges om afvisninger, der er kendt, og som kun tjenestens egne ord forklarer. E-UNMAPPED bruges om ord, som ingen
har mødt før: de står i meddelelsen med tjenestens egen kode, kontrollen `no_unmapped_refusals` tæller dem, og der kommer en
advarsel om dem.
""",
}


def errors(code: Code = None, language: InLanguage = None, markdown: AsMarkdown = False, as_json: AsJson = False) -> int:
    """Every error code, or one: what happened, what to do, who does it, and whether the next run tries again by itself."""
    spoken = _language(language)
    if markdown:
        typer.echo(page(spoken), nl=False)
        return DONE
    chosen = [_known(code, spoken)] if code else [entry(one, spoken) for one in CATALOGUE]
    if as_json:
        show_json({"language": spoken, "errors": chosen})
    elif code:
        one = chosen[0]
        for label, words in zip(_COLUMNS[spoken], _row(one, spoken), strict=True):
            say(f"{label}: {words}", style="bold" if words == one.code else None)
    else:
        table("", _COLUMNS[spoken], (_row(one, spoken) for one in chosen))
    return DONE


def page(language: Language) -> str:
    """The whole catalogue as a Markdown page."""
    columns = _COLUMNS[language]
    rows = [_line(_row(entry(code, language), language)) for code in CATALOGUE]
    return "\n".join([_PAGE[language], _line(columns), "|" + "---|" * len(columns), *rows, ""])


def _row(one: Entry, language: Language) -> tuple[str, ...]:
    yes, no = _YES[language]
    return one.code, one.cause, one.remedy, owner_name(one.owner, language), yes if one.retry else no


def _line(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(str(cell).replace('|', '&#124;') for cell in cells)} |"


def _known(code: str, language: Language) -> Entry:
    known = code.upper()
    if known not in CATALOGUE:
        raise SettingsError("the call", [SettingsProblem("CODE", code, "cloudify errors lists all codes")])
    return entry(known, language)


def _language(wanted: str | None) -> Language:
    if wanted is None:
        return language_in_force()
    for known in LANGUAGES:
        if wanted == known:
            return known
    raise SettingsError("the call", [SettingsProblem("--language", wanted, f"one of {', '.join(LANGUAGES)}")])
