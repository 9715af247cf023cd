"""The extension point: a package that is installed beside the pipeline adds a transform, and a mapping uses it by name."""

from pathlib import Path

import pytest

from cloudify_pipeline.mapping import transforms
from cloudify_pipeline.mapping.apply import map_record
from cloudify_pipeline.mapping.compile import compile_mappings
from cloudify_pipeline.mapping.fields import Field, FieldCatalogue

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "ean_transform"
TARGETS = FieldCatalogue("customers", [Field("ean", "text", max_length=13)])
SOURCES = FieldCatalogue("customers", [Field("id", "text")], open_paths=["metadata"])


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example as an installer leaves it: its module and its entry points on the path."""
    module = (EXAMPLE / "ean_transform.py").read_text(encoding="utf-8")
    (tmp_path / "ean_transform.py").write_text(module, encoding="utf-8")
    info = tmp_path / "ean_transform-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ean-transform\nVersion: 1.0\n", encoding="utf-8")
    entry = "[cloudify_pipeline.transforms]\nean13 = ean_transform:ean13\n"
    (info / "entry_points.txt").write_text(entry, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(transforms, "_registry", dict(transforms._registry))
    transforms._installed.cache_clear()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("value", "result", "problem"),
    [
        ("5790001330552", "5790001330552", None),
        ("57 9000 1330 552", "5790001330552", None),
        ("5790001330553", None, "check digit"),
        ("579000133055", None, "13 digits"),
        ("", None, None),
    ],
)
def test_the_example_transform_fills_the_field_or_names_what_is_wrong(
    value: str, result: str | None, problem: str | None
) -> None:
    written = {"ean": {"from": 'metadata."EAN nr"', "transform": ["ean13"]}}
    mappings = compile_mappings(written, premapped={}, targets=TARGETS, sources=SOURCES, where="customers.fields")
    mapped = map_record(mappings, {"id": "cus_1", "metadata": {"EAN nr": value}})
    assert mapped.values.get("ean") == result
    messages = [found.message for found in mapped.problems]
    assert len(messages) == (1 if problem else 0)
    assert not problem or problem in messages[0]


def test_the_example_names_the_entry_point_group_and_the_function() -> None:
    text = (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")
    assert f'[project.entry-points."{transforms.ENTRY_POINTS}"]\nean13 = "ean_transform:ean13"' in text
