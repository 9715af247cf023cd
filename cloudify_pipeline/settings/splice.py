"""Puts a value into YAML text at one place, or takes one out, by the places that the parser gives its nodes.

Knows text and nodes, not settings. Whether the result says what was meant is for the caller to check.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

Part = str | int
"""A key of a mapping, or a place in a list."""

_STEP = 2


class Refused(Exception):
    """The change cannot be made: what stands there, and what would be allowed."""

    def __init__(self, found: str, allowed: str) -> None:
        super().__init__(found)
        self.found = found
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Step:
    """One step down: the mapping or list, its key (None in a list), and what stands there."""

    above: yaml.CollectionNode
    key: yaml.Node | None
    node: yaml.Node


def having(text: str, root: yaml.Node | None, parts: Sequence[Part], value: str) -> str:
    """`text` with `value`, one line of YAML, at `parts`; what is missing on the way is added at the end of its section.

    Raises:
        Refused: the way leads through a plain value, or to a place that a list does not have.
    """
    if root is None:
        return (
            _after_line(text, len(text.rstrip()), _block(parts, value, 0, _STEP))
            if text.strip()
            else ("\n".join(_block(parts, value, 0, _STEP)) + "\n")
        )
    way = _way(root, parts)
    if len(way) == len(parts):
        return _replaced(text, way[-1], value)
    rest = parts[len(way) :]
    node = way[-1].node if way else root
    if isinstance(node, yaml.MappingNode):
        if not node.flow_style:
            return _after_line(text, _end(node), _block(rest, value, node.value[0][0].start_mark.column, _step(root)))
        entry = _flow(rest, value)
        if not node.value:
            return _put(text, node.start_mark.index, node.end_mark.index, f"{{{entry}}}")
        return _put(text, end := max(_end(one) for pair in node.value for one in pair), end, f", {entry}")
    if node.tag != "tag:yaml.org,2002:null" or not way:
        raise Refused("a list" if isinstance(node, yaml.SequenceNode) else "a plain value", "a section with keys of its own")
    last = way[-1]
    if last.key is None or last.above.flow_style or node.start_mark.index != node.end_mark.index:
        return _replaced(text, last, f"{{{_flow(rest, value)}}}")
    return _after_line(text, last.key.end_mark.index, _block(rest, value, last.key.start_mark.column + _STEP, _step(root)))


def without(text: str, root: yaml.Node | None, parts: Sequence[Part]) -> str:
    """`text` without the key at `parts`, and without the sections that are empty then.

    Raises:
        Refused: the key is not written, or is a place in a list.
    """
    way = _way(root, parts) if root is not None else []
    if len(way) < len(parts):
        raise Refused("nothing", "the key is not written in the file; cloudify settings show lists what is in force")
    if isinstance(parts[-1], int):
        raise Refused("a place in a list", "write the whole list anew")
    while len(way) > 1 and len(way[-1].above.value) == 1:
        if way[-2].key is None:
            return _replaced(text, way[-2], "{}")
        way = way[:-1]
    return _removed(text, way[-1])


def _way(root: yaml.Node, parts: Sequence[Part]) -> list[Step]:
    """The steps to `parts`, as far as they are written."""
    way: list[Step] = []
    node = root
    for part in parts:
        if isinstance(part, int):
            if not isinstance(node, yaml.SequenceNode) or part >= len(node.value):
                has = f"a list of {len(node.value)}" if isinstance(node, yaml.SequenceNode) else "no list"
                raise Refused(has, f"it has no place [{part}]; write the whole list anew")
            way.append(Step(node, None, node.value[part]))
        elif isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if isinstance(pair[0], yaml.ScalarNode) and pair[0].value == part), None)
            if found is None:
                return way
            way.append(Step(node, *found))
        else:
            return way
        if way[-1].node.start_mark.index < (way[-1].key or node).start_mark.index:
            raise Refused("an anchor's value", "edit the file by hand")
        node = way[-1].node
    return way


def _replaced(text: str, step: Step, value: str) -> str:
    node, start, end = step.node, step.node.start_mark.index, _end(step.node)
    if step.key is not None and _is_block(node):
        colon = text.index(":", step.key.end_mark.index) + 1
        behind = text[colon : _line_end(text, colon)].strip()
        comment = f"  {behind}" if behind.startswith("#") else ""
        return _put(text, colon, end, f" {value}{comment}")
    if start == end:
        return _put(text, start, end, f" {value}")
    return _put(text, start, end, value)


def _removed(text: str, step: Step) -> str:
    pairs: list[tuple[yaml.Node, yaml.Node]] = step.above.value
    place = next(place for place, (key, _) in enumerate(pairs) if key is step.key)
    key, node = pairs[place]
    start, end = key.start_mark.index, max(_end(node), key.end_mark.index)
    following = pairs[place + 1][0].start_mark.index if place + 1 < len(pairs) else None
    if step.above.flow_style:
        if following is not None:
            return _put(text, start, following, "")
        return _put(text, _end(pairs[place - 1][1]) if place else start, end, "")
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip() and following is not None:
        # The first key behind a dash: the next one takes its place.
        return _put(text, start, following, "")
    return _put(text, line, _next_line(text, end), "")


def _is_block(node: yaml.Node) -> bool:
    if isinstance(node, yaml.ScalarNode):
        return node.style in {"|", ">"}
    return isinstance(node, yaml.CollectionNode) and not node.flow_style


def _end(node: yaml.Node) -> int:
    """Where the node's own text ends. The parser ends a block only where the next thing begins, behind comments."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        inside = [one for entry in node.value for one in (entry if isinstance(entry, tuple) else (entry,))]
        return max(map(_end, inside), default=int(node.start_mark.index))
    if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
        written = node.start_mark.buffer
        end = int(node.end_mark.index)
        if written is None:
            return end
        while end > node.start_mark.index and written[end - 1] in "\r\n \t\0":
            end -= 1
        return end
    return int(node.end_mark.index)


def _step(root: yaml.Node) -> int:
    """How far the file's own sections stand in."""
    for _, inside in root.value if isinstance(root, yaml.MappingNode) else ():
        if isinstance(inside, yaml.MappingNode) and not inside.flow_style:
            return max(inside.start_mark.column - root.start_mark.column, 1)
    return _STEP


def _block(parts: Sequence[Part], value: str, indent: int, step: int) -> list[str]:
    names = _names(parts)
    above = [f"{' ' * (indent + depth * step)}{name}:" for depth, name in enumerate(names)]
    return [*above[:-1], f"{above[-1]} {value}"]


def _flow(parts: Sequence[Part], value: str) -> str:
    *above, name = _names(parts)
    return "".join(f"{one}: {{" for one in above) + f"{name}: {value}" + "}" * len(above)


def _names(parts: Sequence[Part]) -> list[str]:
    if any(isinstance(part, int) for part in parts):
        raise Refused("nothing", "the list is not written yet; write the whole list")
    # As the element of a list, so that a comma or bracket in a name is quoted as {…} needs it.
    listed = (yaml.safe_dump([part], default_flow_style=True, allow_unicode=True, width=10_000) for part in parts)
    return [one.removesuffix("\n")[1:-1] for one in listed]


def _after_line(text: str, index: int, lines: Sequence[str]) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    indent = len(lines[0]) - len(lines[0].lstrip())
    end = _line_end(text, index)
    # A comment that stands further in belongs to what is above it.
    while (following := _next_line(text, end)) < len(text) and _comment_indent(text, following) > indent:
        end = _line_end(text, following)
    return _put(text, end, end, "".join(f"{newline}{line}" for line in lines))


def _comment_indent(text: str, start: int) -> int:
    """How far in the comment stands that is alone on the line from `start`; -1 where there is none."""
    line = text[start : _line_end(text, start)]
    return len(line) - len(line.lstrip()) if line.lstrip().startswith("#") else -1


def _line_end(text: str, index: int) -> int:
    end = text.find("\n", index)
    if end < 0:
        return len(text)
    return end - 1 if text[end - 1 : end] == "\r" else end


def _next_line(text: str, index: int) -> int:
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1


def _put(text: str, start: int, end: int, value: str) -> str:
    return text[:start] + value + text[end:]
