"""One node of a chain, asked by JSON-RPC over HTTP; its answers are bounded in size and in time."""

import logging
import re
import sys
from collections.abc import Sequence
from http import HTTPStatus
from time import monotonic
from typing import Any, Final

import requests
import urllib3

from signals.chain.errors import BadAnswer, NodeError, RangeTooLarge, RefusedRequest, Unanswered
from signals.chain.settings import NodeUrl
from signals.texts import shortened

# A dependency of web3 raises the limit so far that deep JSON would end the process by a stack overflow.
# Somebody may have imported it before, so the limit that was found is not taken for granted.
_DEEPEST: Final = 3000
_recursion_limit = sys.getrecursionlimit()
from web3 import HTTPProvider  # noqa: E402 - see above
from web3.types import RPCEndpoint  # noqa: E402 - the same

sys.setrecursionlimit(min(_recursion_limit, _DEEPEST))

MAX_ANSWER: Final = 64 * 2**20
"""Bytes of an answer, unpacked, at most; no block has more logs of one token."""
WANTED_ANSWER: Final = 12 * 2**20
"""Bytes of an answer to what can be asked for in smaller parts."""
TIMEOUT: Final = 30.0
"""Seconds for a whole answer, and for each of its parts."""
MAX_PAUSE: Final = 60.0
"""Seconds that a node may ask to wait for."""
_CHUNK: Final = 256 * 1024

# What nodes say; their codes differ, and mean other things elsewhere.
_TOO_OFTEN: Final = re.compile(
    r"\brate\b|too many requests|request count|requests? limit|per (?:second|minute|day)|capacity"
    r"|throttl|quota|try again",
    re.IGNORECASE,
)
_BEHIND: Final = re.compile(
    r"not found|unknown block|missing|behind|sync|future|after last|beyond", re.IGNORECASE
)
_NO_METHOD: Final = -32601
_LOGS: Final = "eth_getLogs"


class _HttpError(Exception):
    """An answer that is not HTTP 200, with the beginning of its body."""

    def __init__(self, status: int, pause: float | None, body: bytes) -> None:
        super().__init__(status)
        self.status, self.pause, self.body = status, pause, body


class _TooLong(Exception):
    """The answer has more bytes than are read."""


class _BoundedSession(requests.Session):
    """Follows no redirect, which could lead anywhere, and reads no more than `most` bytes in TIMEOUT."""

    most = MAX_ANSWER

    def post(self, url: Any, data: Any = None, json: Any = None, **kwargs: Any) -> Any:
        """Send the request and read its answer; raise _HttpError, _TooLong or requests.Timeout."""
        end = monotonic() + TIMEOUT
        kwargs |= {"stream": True, "allow_redirects": False}
        response = super().post(url, data=data, json=json, **kwargs)
        with response:
            body = bytearray()
            # What has arrived, so that a node that sends a byte now and then is noticed.
            while chunk := response.raw.read1(_CHUNK, decode_content=True):
                body += chunk
                if len(body) > self.most:
                    raise _TooLong
                if monotonic() > end:
                    raise requests.Timeout
        if response.status_code != HTTPStatus.OK:
            pause = response.headers.get("Retry-After", "")
            seconds = min(float(pause), MAX_PAUSE) if re.fullmatch("[0-9]{1,6}", pause) else None
            raise _HttpError(response.status_code, seconds, bytes(body[: 2**16]))
        response._content = bytes(body)  # what web3 reads
        return response


class _Redacting(logging.Filter):
    """Takes the address of a node out of what libraries log."""

    def __init__(self, url: NodeUrl) -> None:
        super().__init__()
        self._url = url

    def filter(self, record: logging.LogRecord) -> bool:
        """Write the record anew, and let it pass."""
        record.msg, record.args = self._url.redact(record.getMessage()), ()
        return True


_LIBRARIES: Final = tuple(
    map(logging.getLogger, ("web3.providers.HTTPProvider", "urllib3.connectionpool"))
)


class Node:
    """A node; no text and no error of it has its address. Only one thread may use it at a time."""

    max_answer, wanted_answer = MAX_ANSWER, WANTED_ANSWER

    def __init__(self, url: NodeUrl) -> None:
        self._url = url
        self._session = _BoundedSession()
        self._filter = _Redacting(url)
        for library in _LIBRARIES:
            library.addFilter(self._filter)
        self._provider = HTTPProvider(
            url.text,
            request_kwargs={"timeout": TIMEOUT},
            session=self._session,
            exception_retry_configuration=None,
        )

    def close(self) -> None:
        """End the connections."""
        self._session.close()
        for library in _LIBRARIES:
            library.removeFilter(self._filter)

    def ask(self, method: str, parameters: Sequence[Any], most: int = MAX_ANSWER) -> Any:
        """Return the result of one request, of at most so many bytes; raise NodeError if there is none."""
        self._session.most = most
        answer = self._send(method, lambda: self._provider.make_request(*_call(method, parameters)))
        return self._result(method, answer)

    def ask_many(self, method: str, many: Sequence[Sequence[Any]]) -> list[Any]:
        """Return the results of the same method with each of these parameters, asked for in one request."""
        self._session.most = MAX_ANSWER
        calls = [_call(method, parameters) for parameters in many]
        answers = self._send(method, lambda: self._provider.make_batch_request(calls))
        if not isinstance(answers, list):
            return [self._result(method, answers)]
        ids = [each.get("id") if isinstance(each, dict) else None for each in answers]
        first = ids[0] if ids else None
        if len(ids) != len(calls) or type(first) is not int:
            raise BadAnswer(f"{len(calls)} questions got {len(ids)} answers")
        if ids != list(range(first, first + len(ids))):
            raise BadAnswer("the answers are not those to the questions")
        return [self._result(method, each) for each in answers]

    def _send(self, method: str, send: Any) -> Any:
        """Return the JSON that the node answers; raise NodeError for what is none."""
        try:
            return send()
        except _TooLong:
            most = f"{self._session.most:,}"
            raise RangeTooLarge(f"the answer has more than {most} bytes") from None
        except _HttpError as error:
            return self._read_failure(method, error)
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            if method == _LOGS:
                raise RangeTooLarge(f"no answer within {TIMEOUT:.0f} s") from None
            raise Unanswered(f"no answer within {TIMEOUT:.0f} s") from None
        except urllib3.exceptions.DecodeError:
            raise BadAnswer("the answer cannot be unpacked") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Unanswered(f"the connection failed ({type(error).__name__})") from None
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            raise BadAnswer("the answer is no JSON-RPC") from None

    def _read_failure(self, method: str, error: _HttpError) -> Any:
        """Return the JSON-RPC error in the body of an HTTP error, or raise what the status means."""
        status = error.status
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Unanswered("HTTP 429, too many requests", error.pause) from None
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise RangeTooLarge("HTTP 413, too large") from None
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            if method == _LOGS and status == HTTPStatus.GATEWAY_TIMEOUT:
                raise RangeTooLarge("HTTP 504, the node timed out") from None
            raise Unanswered(f"HTTP {status}", error.pause) from None
        try:
            answer = self._provider.decode_rpc_response(error.body)
        except Exception:  # noqa: BLE001 - whatever it is, it is no answer
            answer = None
        if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
            return answer
        raise RefusedRequest(f"HTTP {status}") from None

    def _result(self, method: str, answer: Any) -> Any:
        """Return the result in an answer, or raise the error in it."""
        if not isinstance(answer, dict):
            raise BadAnswer("the answer is no JSON-RPC")
        error = answer.get("error")
        if error is None and "result" in answer:
            return answer["result"]
        if not isinstance(error, dict):
            raise BadAnswer("the answer has neither a result nor an error")
        message = str(error.get("message", ""))[:1000]
        said = shortened(self._url.redact(message), 200) or "an error without a text"
        raise _error_of(method, error.get("code"), message)(f"{method}: {said}")


def _call(method: str, parameters: Sequence[Any]) -> tuple[RPCEndpoint, Any]:
    return RPCEndpoint(method), list(parameters)


def _error_of(method: str, code: Any, message: str) -> type[NodeError]:
    """Return the error that a node's message means.

    There are as many words for a range that is too large as there are kinds of nodes, so for logs an error
    of no other meaning is one.
    """
    if _TOO_OFTEN.search(message) or _BEHIND.search(message):
        return Unanswered
    if method == _LOGS and code != _NO_METHOD:
        return RangeTooLarge
    return RefusedRequest
