"""A schema for people to read: on a terminal, and as the reference in ``docs/contract.md``."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.codec import schema_text
from schemas.outline import Field, Record, outline


def on_terminal(text: str) -> RenderableType:
    """Return every record of a schema with its fields, their types and what they mean."""
    return Group(*(part for record in outline(text).values() for part in _record(record)))


def _record(record: Record) -> Iterator[RenderableType]:
    yield Text(f"\n{record.name}: {record.doc}", style="bold")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    for field in record.fields.values():
        table.add_row(field.name, field.type, field.doc)
    yield table


def reference(topics: Iterable[tuple[str, str]]) -> str:
    """Return a page in Markdown: of each (topic, schema) every record and every field."""
    return "\n".join(line for topic, name in topics for line in _topic(topic, name))


def _topic(topic: str, name: str) -> Iterator[str]:
    records = outline(schema_text(name))
    for record in records.values():
        whole = record is next(iter(records.values()))
        yield f"### `{topic}`" if whole else f"#### {record.name}"
        yield f"\n{record.doc}\n"
        yield "| field | type | default | meaning |\n|---|---|---|---|"
        yield from (_row(field) for field in record.fields.values())
        yield ""


def _row(field: Field) -> str:
    cells = (f"`{field.name}`", field.type, f"`{field.default}`", field.doc)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"
