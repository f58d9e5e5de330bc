"""Given views of a list: links to it with filters that answer a question of every day."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class View:
    """A name, and the parameters of the list that it leads to."""

    name: str
    parameters: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"?{urlencode(self.parameters)}"
