"""A table in Markdown."""

from collections.abc import Sequence


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """The rows with a rule under the first, in columns of even width, which a terminal shows as well."""
    widths = [max(map(len, texts)) for texts in zip(*rows, strict=True)]
    head, *rest = rows
    lines = (
        " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        for row in (head, ["-" * width for width in widths], *rest)
    )
    return "".join(f"| {line} |\n" for line in lines)
