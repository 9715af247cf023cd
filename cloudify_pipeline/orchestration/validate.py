"""Checks that the code location loads as workspace.yaml names it: ``python -m … -w workspace.yaml``."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

import dagster as dg
import yaml


def validate(workspace: Path) -> list[str]:
    """Load every module that `workspace` names and its definitions; the problems found, none when all is well."""
    problems = []
    for target in yaml.safe_load(workspace.read_text(encoding="utf-8"))["load_from"]:
        module = target["python_module"]
        name = module["module_name"]
        found = [value for value in vars(import_module(name)).values() if isinstance(value, dg.Definitions)]
        if len(found) != 1:
            problems.append(f"{name}: {len(found)} Definitions, one is needed")
            continue
        dg.Definitions.validate_loadable(found[0])
        if module["location_name"] != "cloudify_pipeline":
            problems.append(f"{name}: the location is called {module['location_name']}; schedules and cursors hang on the name")
    return problems


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-w", "--workspace", type=Path, required=True)
    problems = validate(parser.parse_args().workspace)
    sys.stdout.write("\n".join(problems) + "\n" if problems else "definitions: valid\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
