"""Errors of a chain's nodes; no text has the address of a node, which holds its key."""

from dataclasses import dataclass


class NodeError(Exception):
    """A node gave no answer that can be used; what was read before is stored, and the next pass goes on."""


class Unanswered(NodeError):
    """A request failed in a way that may pass: a time-out, a lost connection, HTTP 5xx, too many requests.

    `pause` is how many seconds the node asked to wait.
    """

    def __init__(self, text: str, pause: float | None = None) -> None:
        super().__init__(text)
        self.pause = pause


class BadAnswer(NodeError):
    """An answer is no JSON-RPC, has a field of another form, or contradicts itself."""


class RangeTooLarge(NodeError):
    """The node will not, or cannot, answer for so many blocks, addresses or logs at once."""


class RefusedRequest(NodeError):
    """The node refuses the request, as with a wrong key or an unknown method."""


class OtherChain(NodeError):
    """The node belongs to another chain than it was configured for."""


class ChainMoved(NodeError):
    """The chain was reorganised while it was read; nothing of that range was stored."""


class NoNode(NodeError):
    """None of the nodes of a chain gave a usable answer; the text has what each said last."""


@dataclass(eq=False)
class TokenRefused(NodeError):
    """A token cannot be read, though its chain can: one block of it is more than the node gives at once."""

    cursor: int
    reason: str

    def __str__(self) -> str:
        return self.reason


class LeaseLost(Exception):
    """Another pass took the tokens over, because this one let its lease run out; nothing was written."""
