"""Read the tables of a page."""

import re


def tables(text: str) -> list[list[list[str]]]:
    """The cells of each Markdown table."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        for block in blocks
    ]
