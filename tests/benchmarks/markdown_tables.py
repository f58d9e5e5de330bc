"""Read the tables of a page."""

import re


def tables(text: str) -> list[list[list[str]]]:
    """The cells of each Markdown table."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        for block in blocks
    ]


def as_asked(shown: list[list[str]], run: list[list[str]], not_asked: str) -> list[list[str]]:
    """Return the documented rows as this server can show them.

    What it cannot be asked for is so in the run, and then the rows that count, which are not of a drift and
    have no number, are those of the run too.
    """
    lacks = any(not_asked in row for row in run)
    return [
        [
            there if there == not_asked or (lacks and not row[0]) else cell
            for cell, there in zip(row, of_run, strict=True)
        ]
        for row, of_run in zip(shown, run, strict=True)
    ]
