"""One request to a server: which addresses are asked, which redirects are followed."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from rein_seg.errors import UserError
from rein_seg.version import __version__

_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_NO_NETWORK = (socket.gaierror, ConnectionRefusedError)


class NotThere(UserError):
    """The server has no such file."""


class Broken(Exception):
    """A request that may do when it is sent again.

    Args:
        reason: In words.
        wait: Seconds that the server asks to wait.
        no_network: Whether no server was reached at all.
    """

    def __init__(self, reason: str, *, wait: float = 0, no_network: bool = False) -> None:
        super().__init__(reason)
        self.wait, self.no_network = wait, no_network


class Denied(Exception):
    """An answer that no second request would change.

    Args:
        status: Of HTTP.
        headers: Of the answer.
        reason: In words.
    """

    def __init__(self, status: int, headers: Mapping[str, str], reason: str) -> None:
        super().__init__(reason)
        self.status, self.headers = status, headers


def check_address(url: str) -> str:
    """Returns an address as it is sent; only http and https are asked.

    Raises:
        UserError: If it is no such address.

    Example:
        >>> from rein_seg.download.web import check_address
        >>> check_address('file:///etc/passwd')
        Traceback (most recent call last):
        rein_seg.errors.UserError: address 'file:///etc/passwd': expected https://HOST/FILE; give
        the path itself for a file of this machine
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or '').encode('idna')
        fits = parts.scheme in ('http', 'https') and bool(host) and parts.port != 0
        fits = fits and '@' not in parts.netloc  # a password would stand in configs and logs
    except ValueError:
        fits = False
    if not fits or re.search(r'[\x00-\x20\x7f]', url):
        raise UserError(
            f'address {url!r}: expected https://HOST/FILE; give the path itself for a file of this '
            'machine'
        )
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ''))


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to web addresses, and keeps the headers of each."""

    def __init__(self, token: str | None) -> None:
        self.token, self.seen = token, list[Message]()

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        """Returns the request to send next; the token goes along to the same server only."""
        self.seen.append(headers)
        downgrade = req.type == 'https' and urlsplit(newurl).scheme != 'https'
        if downgrade or urlsplit(newurl).scheme not in ('http', 'https'):
            raise Denied(code, headers, f'it redirects to {newurl[:200]!r}, which is refused')
        new = super().redirect_request(req, fp, 307 if code == 308 else code, msg, headers, newurl)
        if new is not None and self.token and _origin(req.full_url) == _origin(newurl):
            new.add_unredirected_header('Authorization', f'Bearer {self.token}')
        return new

    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


@contextlib.contextmanager
def ask(
    url: str, headers: Mapping[str, str], timeout: float, token: str | None = None
) -> Iterator[tuple[http.client.HTTPResponse, list[Message]]]:
    """Yields the answer to a GET, and the headers of all answers on the way to it.

    Args:
        url: From `check_address`.
        headers: To send.
        timeout: Seconds that the server may send nothing.
        token: Sent to the server of ``url`` only, not to one that it redirects to.

    Raises:
        Broken: If the request may do when it is sent again.
        Denied: If the server refuses it, or redirects to anything but a web address.
    """
    redirects = Redirects(token)
    sent = {'User-Agent': f'rein-seg/{__version__}', 'Accept-Encoding': 'identity', **headers}
    request = urllib.request.Request(url, headers=sent)
    if token:  # redirects must not carry it to other servers
        request.add_unredirected_header('Authorization', f'Bearer {token}')
    try:
        answer = urllib.request.build_opener(redirects).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            _raise_status(error)
    except Denied:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise _broken(error) from error
    with answer:
        yield answer, [*redirects.seen, answer.headers]


def _raise_status(error: urllib.error.HTTPError) -> None:
    words = str(error.reason).strip().splitlines() or ['']
    reason = f'the server answers {error.code} {words[0]}'.strip()
    if error.code in _AGAIN:
        wait = str(error.headers.get('Retry-After', ''))
        raise Broken(reason, wait=float(wait) if wait.isdecimal() else 0) from error
    raise Denied(error.code, error.headers, reason) from error


def _broken(error: Exception) -> Broken:
    reason = getattr(error, 'reason', None) or error
    if isinstance(reason, ssl.SSLCertVerificationError):
        words = f'its certificate is not trusted ({reason.verify_message})'
        raise Denied(0, {}, f'{words}; SSL_CERT_FILE names a certificate to trust') from error
    what = getattr(reason, 'strerror', None) or str(reason).strip() or type(reason).__name__
    no_network = isinstance(reason, _NO_NETWORK) or (
        isinstance(reason, OSError) and 'unreachable' in str(what).lower()
    )
    return Broken(str(what).splitlines()[0], no_network=no_network)
