from typing import Any

import pytest

from cloudify_pipeline.mapping.paths import PathError
from cloudify_pipeline.mapping.templates import Template

RECORD: dict[str, Any] = {"number": "A-1", "metadata": {"po": "", "order ref": "7", "a}b": "x"}, "lines": ["1", "2"]}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Order {number} {metadata.po}", "Order A-1"),
        ("Order {metadata.po} of {number}", "Order of A-1"),
        ("Order {metadata.po}", ""),
        ('{metadata."order ref"}/{metadata."a}b"}', "7/x"),
        ("{{{number}}} {{x}}", "{A-1} {x}"),
        ("{ number }", "A-1"),
        ("fixed", "fixed"),
        ("{number}\n{metadata.po}", "A-1"),
    ],
)
def test_a_template_is_filled(template: str, text: str) -> None:
    assert Template.parse(template).render(RECORD) == text


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{number", "not closed"),
        ("}", "alone"),
        ("{}", "a path"),
        ("{metadata.order ref}", '{metadata."order ref"}'),
        ("{", "a path"),
    ],
)
def test_a_broken_template_is_refused(template: str, says: str) -> None:
    with pytest.raises(PathError, match="path") as raised:
        Template.parse(template)
    assert says in str(raised.value)


def test_a_template_knows_its_paths() -> None:
    assert [str(path) for path in Template.parse('{number} {metadata."order ref"}').paths] == ["number", 'metadata."order ref"']
