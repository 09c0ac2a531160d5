"""Requests that end: every exchange has a deadline, every fault a bounded number of retries and a typed error.

The client reads pages through the session that it is given. Ours reads each one in a thread of its own and leaves it at
the deadline, because a socket's time-out is renewed by every byte and says nothing of a name server that never answers.
"""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests

from discover.candidates.deadline import bounded
from discover.errors import SourceError, SourceIntegrityError, SourceKeyError, SourceQueryError, SourceUnavailable

T = TypeVar("T")

KEY_PAGE = "https://next-gen.materialsproject.org/api"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_AGAIN = (408, 425, 429)
_CONNECT = 20.0
_LONGEST_BACKOFF = 30.0
_CHUNK = 65_536
LARGEST_BODY = 512 * 1024**2
_ESCAPED = re.compile(rb"\\u00([0-9a-fA-F]{2})")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Runtime:
    """Clocks and chance, passed in. `backoff` is the first pause in seconds; each further one is twice as long."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = _utc_now
    chance: random.Random = field(default_factory=random.Random)
    backoff: float = 0.5


@dataclass(frozen=True)
class Limits:
    """Seconds for the whole pull and for one attempt at one page; attempts at one page; the longest wait on request."""

    time_limit: float
    page_time_limit: float
    attempts: int
    longest_wait: float


@dataclass(frozen=True)
class Reply:
    """An answer that was read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Fault(Exception):
    """What went wrong in one attempt: the error that it becomes, and whether and when another attempt makes sense."""

    def __init__(self, error: type[SourceError], why: str, *, again: bool = False, wait: float | None = None):
        self.error, self.why, self.again, self.wait = error, why, again, wait
        super().__init__(why)


class Patience:
    """The time that is left and the attempts that are allowed, for one pull."""

    def __init__(self, limits: Limits, runtime: Runtime):
        self.limits, self.runtime = limits, runtime
        self._end = runtime.monotonic() + limits.time_limit

    @property
    def left(self) -> float:
        """Seconds until the time limit of the pull."""
        return self._end - self.runtime.monotonic()

    @property
    def attempt(self) -> float:
        """Seconds that one attempt may take now."""
        return min(self.limits.page_time_limit, self.left)

    def persist(self, action: Callable[[], T], what: str) -> T:
        """The result of `action`, attempted again after faults that may pass. SourceError of the last fault's kind."""
        contradictions = 0
        for attempt in range(1, self.limits.attempts + 1):
            if self.left <= 0:
                raise self._out_of_time(what)
            try:
                return action()
            except Fault as fault:
                contradictions += fault.error is SourceIntegrityError
                if not fault.again or attempt == self.limits.attempts or contradictions == 2:
                    raise _final(fault, what, attempt) from None
                self._pause(fault, what, attempt)
        raise AssertionError("attempts are at least one")

    def _pause(self, fault: Fault, what: str, attempt: int) -> None:
        """Wait as long as the service asks, else exponentially longer each time; never beyond the limits."""
        backoff = min(self.runtime.backoff * 2 ** (attempt - 1), _LONGEST_BACKOFF)
        seconds = backoff * self.runtime.chance.uniform(0.5, 1.0) + (fault.wait or 0.0)
        if fault.wait is not None and fault.wait > self.limits.longest_wait:
            allowed = f"at most {self.limits.longest_wait:g} s are allowed"
            raise SourceUnavailable(f"{what}: {fault.why}; {allowed}. Try again after that time, or raise longest_wait")
        if seconds >= self.left:
            raise self._out_of_time(what, fault.why)
        self.runtime.sleep(seconds)

    def _out_of_time(self, what: str, why: str = "") -> SourceUnavailable:
        told = f"{what}: {why}; the" if why else f"{what}: the"
        return SourceUnavailable(
            f"{told} time limit of {self.limits.time_limit:g} s for the whole pull is used up. Finished pages are kept: "
            "pull again to go on from there, or raise time_limit"
        )


def _final(fault: Fault, what: str, attempts: int) -> SourceError:
    tried = f" (attempts: {attempts})" if attempts > 1 else ""
    advice = {
        SourceUnavailable: ". Try again later; finished pages are kept",
        SourceIntegrityError: ". Nothing was kept; if a later pull fails alike, tell the service",
    }.get(fault.error, "")
    return fault.error(f"{what}: {fault.why}{tried}{advice}")


class Transport:
    """GETs with a deadline. Never follows a redirection: the key would travel along."""

    def __init__(self, key: str, user_agent: str, runtime: Runtime):
        self._key, self._runtime = key, runtime
        self._session = requests.Session()
        self._session.headers.update({"x-api-key": key, "user-agent": user_agent})

    def get(self, url: str, params: Mapping[str, Any], seconds: float) -> Reply:
        """One attempt, read to its end within `seconds`. Fault if there is no whole answer."""
        started: list[requests.Response] = []
        try:
            return bounded(lambda: self._read(url, params, seconds, started), seconds, lambda: _let_go(started))
        except TimeoutError:
            raise Fault(SourceUnavailable, f"no whole answer within {seconds:.3g} s", again=True) from None
        except requests.exceptions.SSLError as error:
            raise Fault(SourceUnavailable, f"no trusted connection ({self.scrub(error)})") from None
        except (requests.RequestException, OSError) as error:
            why = f"{type(error).__name__}: {self.scrub(error)}"
            raise Fault(SourceUnavailable, f"the connection failed ({why})", again=True) from None
        except ValueError as error:
            raise Fault(SourceUnavailable, f"the head of the answer cannot be read ({self.scrub(error)})") from None

    def _read(self, url: str, params: Mapping[str, Any], seconds: float, started: list[requests.Response]) -> Reply:
        timeouts = (min(_CONNECT, seconds), seconds)
        with self._session.get(url, params=params, stream=True, timeout=timeouts, allow_redirects=False) as response:
            started.append(response)
            body = bytearray()
            for chunk in response.iter_content(_CHUNK):
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise Fault(SourceIntegrityError, f"an answer is larger than {LARGEST_BODY // 1024**2} MB")
            return Reply(response.status_code, response.headers, bytes(body), response.url)

    def betrays(self, body: bytes) -> bool:
        """Whether the key is in a body, as it is or as JSON may write it."""
        key = self._key.encode()
        plain = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), body).replace(b"\\/", b"/")
        return key in body or key in plain

    def judge(self, reply: Reply, *, heartbeat: bool = False) -> Reply:
        """The reply if it is a success. Fault by cause for anything else."""
        status, where = reply.status, f"the service answered {reply.status}"
        if status == 200:
            if self.betrays(reply.body):
                raise Fault(SourceIntegrityError, "the answer holds the API key, which belongs on no disk")
            return reply
        if status < 300:
            raise Fault(SourceIntegrityError, where, again=True)
        if status < 400:
            target = urlsplit(urljoin(reply.url, reply.headers.get("Location", ""))).netloc
            told = f"{where}, redirecting to {target!r}, which was not followed: set endpoint, or log in to the network"
            raise Fault(SourceUnavailable, told)
        if status in _AGAIN or status >= 500:
            wait = self._asked_wait(reply)
            told = where if wait is None else f"{where} and asks for a pause of {wait:.0f} s"
            raise Fault(SourceUnavailable, told, again=True, wait=wait)
        if heartbeat and status != 401:
            raise Fault(SourceUnavailable, f"{where}: the service is closed, or the endpoint is not that of its API")
        if status in (401, 403):
            told = f"the service refused the API key ({status}). Get one at {KEY_PAGE} and set MP_API_KEY"
            raise Fault(SourceKeyError, told)
        told = f"the service refused the query ({status}): {self._detail(reply)}. Asking again will not help"
        raise Fault(SourceQueryError, told)

    def _asked_wait(self, reply: Reply) -> float | None:
        """Seconds from a Retry-After header, in either of its forms; None without a usable one."""
        text = reply.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return float(text)
        with contextlib.suppress(ValueError, TypeError):
            moment = parsedate_to_datetime(text)
            return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - self._runtime.now()).total_seconds())
        return None

    def _detail(self, reply: Reply) -> str:
        return self.scrub(reply.body.decode("utf-8", "replace"))[:500]

    def scrub(self, text: object) -> str:
        """Text without the key."""
        return str(text).replace(self._key, "<key>")

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()


def _let_go(started: list[requests.Response]) -> None:
    """Unblock the thread that still reads an answer."""
    for response in started:
        shutdown = getattr(response.raw, "shutdown", None)
        with contextlib.suppress(Exception):
            if shutdown is not None:
                shutdown()


class GuardedSession(requests.Session):
    """The session that the client is given. `fetch` answers each GET with (status, body)."""

    def __init__(self, fetch: Callable[[str, Mapping[str, Any]], tuple[int, bytes]]):
        super().__init__()
        self._fetch = fetch

    def request(
        self, method: str | bytes, url: str | bytes, params: Any = None, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """A whole answer, or a SourceError. The client's own time-out and retries are not used."""
        if method not in ("GET", "get"):
            raise SourceQueryError(f"the client wants to {method!r}; only reading is allowed")
        status, body = self._fetch(str(url), dict(params or {}))
        response = requests.Response()
        response.status_code, response.url, response.encoding = status, str(url), "utf-8"
        response._content = body
        return response


def checked_endpoint(endpoint: str) -> str:
    """The endpoint with one slash at its end. SourceQueryError unless it is https, or http on this machine."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SourceQueryError(f"endpoint {endpoint!r} is no web address such as 'https://api.materialsproject.org/'")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise SourceQueryError(f"endpoint {endpoint!r} would send the API key unencrypted: use https")
    if parts.username or parts.query:
        raise SourceQueryError("an endpoint carries no user name and no query: the key belongs into MP_API_KEY")
    return endpoint.rstrip("/") + "/"
