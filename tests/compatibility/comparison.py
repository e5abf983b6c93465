"""What a change of a JSON Schema breaks: for who reads records that were written before, and for who goes on reading them."""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def broken(old: Schema, new: Schema) -> list[str]:
    """One line for each thing that is not a mere addition; none if the new schema only adds.

    A field may be added if it need not be there, a word to an enumeration, a kind of record. Nothing may be taken away,
    no type and no bound may be narrowed or widened, and what had to be there has to be there.
    """
    return list(_Comparison(old, new).faults(old, new, "$"))


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new

    def faults(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        old, new = _resolved(self._old, old), _resolved(self._new, new)
        if old.get("default") != new.get("default"):
            yield f"{path}: without it {old.get('default')} was meant, and is {new.get('default')}"
        olds, news = _alternatives(old), _alternatives(new)
        if len(olds) == len(news) == 1:
            yield from self._of_one(_resolved(self._old, olds[0]), _resolved(self._new, news[0]), path)
            return
        left = list(news)
        for one in olds:
            matches = [(list(self.faults(one, other, path)), other) for other in left]
            least, other = min(matches, key=lambda match: len(match[0]), default=([f"{path}: a kind of value is gone"], None))
            yield from least
            if other is not None:
                left.remove(other)
        if any(not _is_record(_resolved(self._new, one)) for one in left):
            yield f"{path}: another kind of value may stand there"

    def _of_one(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        if old.get("type") != new.get("type"):
            yield f"{path}: the type was {old.get('type')} and is {new.get('type')}"
        if "enum" in old or "enum" in new:
            yield from _of_words(old.get("enum"), new.get("enum"), path)
        for name in (*_LEAST, *_MOST, "pattern", "format", "oneOf"):
            if old.get(name) != new.get(name):
                yield f"{path}: {name} was {old.get(name)} and is {new.get(name)}"
        yield from self._of_fields(old, new, path)
        for name in ("items", "additionalProperties"):
            before, after = old.get(name, True), new.get(name, True)
            if isinstance(before, Mapping) and isinstance(after, Mapping):
                yield from self.faults(before, after, f"{path}.{name}")
            elif before != after:
                yield f"{path}: {name} was {before} and is {after}"
        before, after = old.get("prefixItems", []), new.get("prefixItems", [])
        if len(before) > len(after):
            yield f"{path}: items at the end are gone"
        for number, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from self.faults(one, other, f"{path}[{number}]")

    def _of_fields(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name in after:
                yield from self.faults(before[name], after[name], f"{path}.{name}")
            else:
                yield f"{path}.{name}: the field is gone"
        needed, needs = set(old.get("required", [])), set(new.get("required", []))
        yield from (f"{path}.{name}: the field must be there now" for name in sorted(needs - needed))
        yield from (f"{path}.{name}: the field need not be there any more" for name in sorted(needed - needs))


def _of_words(old: Any, new: Any, path: str) -> Iterator[str]:
    if old is None or new is None:
        yield f"{path}: an enumeration was made or dropped"
    elif gone := [word for word in old if word not in new]:
        yield f"{path}: {gone} cannot stand there any more"


def _resolved(whole: Schema, part: Schema) -> Schema:
    reference = part.get("$ref")
    return part if reference is None else whole["$defs"][reference.removeprefix("#/$defs/")]


def _alternatives(schema: Schema) -> list[Schema]:
    """The kinds of values that may stand there."""
    return list(schema.get("anyOf", [schema]))


def _is_record(schema: Schema) -> bool:
    """Whether it is told apart by its `type` or `kind`: who does not know it passes it over."""
    tags = [schema.get("properties", {}).get(name, {}) for name in ("type", "kind")]
    return any(len(tag.get("enum", ())) == 1 for tag in tags)
