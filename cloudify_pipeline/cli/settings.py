"""`cloudify settings`: the JSON Schema, what can be mapped, and the effective settings with secrets masked."""

import typer

settings = typer.Typer(help="The settings: their schema, the fields that can be mapped, and what is in force.", no_args_is_help=True)


@settings.command()
def nothing() -> int:
    """X"""
    return 0
