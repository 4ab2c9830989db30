"""The command line as a client of the API: who we are, one request after the other, failures in plain words.

Knows nothing of the service but what is on the wire.
"""

from __future__ import annotations

import functools
import json
import os
import ssl
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar
from urllib.parse import quote, urlsplit

import click
import httpx2
from rich.console import Console
from rich.table import Table

from dirbridge.contract.errors import ConfigurationError, CredentialError, DirbridgeError, TransientError

TIMEOUT = 30.0
PATIENCE = 30.0
"""Seconds for which a busy service is asked again."""

PROFILE = "~/.config/dirbridge/profile.json"

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, repr=False)
class Profile:
    """Where the service is and as whom to speak to it."""

    url: str
    tenant: str
    client_id: str
    client_secret: str
    ca_file: Path | None


_KEYS = {
    "url": "url",
    "ca-file": "caFile",
    "tenant": "tenantId",
    "client-id": "clientId",
    "client-secret": "clientSecret",
}
"""By option, the member of the profile file."""

_OPTIONS: tuple[tuple[str, str, str, str], ...] = (
    ("url", "DIRBRIDGE_URL", "URL", "Where the service answers."),
    ("ca-file", "DIRBRIDGE_CA_FILE", "FILE", "Certificate of the service's CA."),
    ("tenant", "DIRBRIDGE_TENANT", "ID", "The tenant's id."),
    ("client-id", "DIRBRIDGE_CLIENT_ID", "ID", "The client's id."),
    ("client-secret", "DIRBRIDGE_CLIENT_SECRET", "SECRET", "Its secret; better given by the environment."),
)


def options(command: Callable[P, R]) -> Callable[..., R]:
    """Give a command the options that lead to the service, and `--json`; it gets a `profile` and `as_json`.

    What no option or variable gives comes from the file that `dirbridge init --write-profile` leaves.
    """
    return _leading(command, profile)


def later_options(command: Callable[P, R]) -> Callable[..., R]:
    """As `options`, for a command that may need no service: its `profile` is called for one."""
    return _leading(command, lambda given: functools.partial(profile, given))


def _leading(command: Callable[P, R], make: Callable[[dict[str, str | None]], object]) -> Callable[..., R]:
    @functools.wraps(command)
    def call(*args: Any, **values: Any) -> R:
        given = {name: values.pop(name.replace("-", "_")) for name, *_ in _OPTIONS}
        return command(*args, profile=make(given), **values)  # type: ignore[arg-type]

    decorated: Callable[..., Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(call)
    for name, variable, metavar, text in reversed(_OPTIONS):
        decorated = click.option(f"--{name}", envvar=variable, metavar=metavar, help=f"{text} [{variable}]")(decorated)
    return decorated


def profile(given: dict[str, str | None]) -> Profile:
    """Complete what was given by the profile file.

    Raises:
        ConfigurationError: something is missing or cannot be read; names all of it.
    """
    file = Path(PROFILE).expanduser()
    stored = _stored(file)
    # Parts of two services do not fit together: another URL makes the file's other parts worthless.
    if given["url"] and given["url"].rstrip("/") != str(stored.get("url", "")).rstrip("/"):
        stored = {}
    found = {name: given[name] or stored.get(key) for name, key in _KEYS.items()}
    missing = [f"--{name}" for name in ("url", "client-id", "client-secret") if not found[name]]
    if missing:
        raise ConfigurationError(
            f"It is not known how to reach the service: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'}"
            f" missing, and {file} does not have it.",
            code="ProfileIncomplete",
            recommended_action="Run `dirbridge init --write-profile` on the service's host, or set DIRBRIDGE_URL,"
            " DIRBRIDGE_CA_FILE, DIRBRIDGE_CLIENT_ID and DIRBRIDGE_CLIENT_SECRET.",
        )
    url = str(found["url"]).rstrip("/")
    if not _is_https(url):
        raise ConfigurationError(
            f"The service's URL is '{url}'; one like https://host:8443 is expected.", code="InvalidUrl"
        )
    ca_file = Path(str(found["ca-file"])).expanduser() if found["ca-file"] else None
    return Profile(url, str(found["tenant"] or "common"), str(found["client-id"]), str(found["client-secret"]), ca_file)


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an address, a port that is no number
        return False


def _stored(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The profile {file} cannot be read: {error}.",
            code="ProfileUnreadable",
            recommended_action="Write it anew by `dirbridge init --write-profile`.",
        ) from error
    return found if isinstance(found, dict) else {}


class Client:
    """The API, signed in. Gives JSON; raises our errors.

    Args:
        sleep: how to wait between attempts, in seconds.
    """

    def __init__(self, profile: Profile, http: httpx2.Client, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.profile = profile
        self._http = http
        self._sleep = sleep
        self._token = ""

    @classmethod
    @contextmanager
    def open(cls, profile: Profile) -> Iterator[Self]:
        """Connect, trusting the profile's CA, or the machine's where it names none."""
        with httpx2.Client(verify=_trust(profile.ca_file), timeout=TIMEOUT, trust_env=False) as http:
            yield cls(profile, http)

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Read a path below `/v1.0`, or a whole link; `top=5` stands for `$top=5`."""
        if query:
            path += "?" + "&".join(f"${name}={quote(str(value), safe='')}" for name, value in query.items())
        return self.call("GET", path)

    def pages(self, path: str, **query: str | int) -> Iterator[dict[str, Any]]:
        """Read a whole list, page by page."""
        page = self.get(path, **query)
        while True:
            yield from page.get("value", [])
            link = page.get("@odata.nextLink")
            if not link:
                return
            page = self.get(str(link))

    def post(self, path: str, body: Any = None) -> dict[str, Any]:
        """Do something; the answer is empty where it has no content."""
        return self.call("POST", path, body)

    def patch(self, path: str, body: Any) -> None:
        """Change something."""
        self.call("PATCH", path, body)

    def delete(self, path: str) -> None:
        """Remove something."""
        self.call("DELETE", path)

    def upload(self, path: str, file: Path) -> None:
        """Put the bytes of a file somewhere."""
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"'{file}' cannot be read: {error.strerror}.", code="FileUnreadable") from error
        self.call("PUT", path, content)

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Send one request, again where the service asks for patience.

        Args:
            body: JSON; bytes are sent as they are.

        Raises:
            TransientError: the service cannot be reached or stays busy.
            CredentialError: who we are is refused, or may not do this.
            DirbridgeError: the service refused the request; its code and sentence.
        """
        url = self._url(path)
        if not self._token:
            self._sign_in()
        answer = self._patiently(method, url, body)
        if answer.status_code == 401:
            self._sign_in()
            answer = self._patiently(method, url, body)
        return _content(answer)

    def download(self, path: str, file: Path) -> None:
        """Write an answer that is no JSON to a file, which appears only when it is whole."""
        answer = self._patiently("GET", self._url(path), None)
        if not answer.is_success:
            _content(answer)
        part = file.with_name(f".{file.name}.part")
        try:
            part.write_bytes(answer.content)
            part.replace(file)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ConfigurationError(f"'{file}' cannot be written: {error.strerror}.", code="FileUnwritable") from error

    def _url(self, path: str) -> str:
        if path.startswith("https://"):
            if not path.startswith(self.profile.url + "/"):
                raise DirbridgeError(
                    f"The service leads to another host, '{path}'; it is not followed.", code="ForeignLink"
                )
            return path
        version = "" if path.startswith("/beta/") else "/v1.0"
        return f"{self.profile.url}{version}{path}"

    def _sign_in(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.profile.client_id,
            "client_secret": self.profile.client_secret,
            "scope": "https://graph.microsoft.com/.default",
        }
        url = f"{self.profile.url}/{quote(self.profile.tenant, safe='')}/oauth2/v2.0/token"
        answer = self._retried(lambda: self._http.post(url, data=form), repeat=True)
        document = _json(answer)
        if answer.status_code == 200 and document.get("access_token"):
            self._token = str(document["access_token"])
            return
        if answer.status_code >= 500 or answer.status_code == 429:
            raise _busy(answer)
        said = str(document.get("error_description") or f"HTTP {answer.status_code}").splitlines()[0]
        said = said.partition(" Trace ID:")[0]
        raise CredentialError(
            f"{self.profile.url} refuses the client '{self.profile.client_id}': {said.rstrip('.')}.",
            code=str(document.get("error") or "SignInFailed"),
            recommended_action="Check client id and secret; `dirbridge init --new-secret` makes another one.",
        )

    def _patiently(self, method: str, url: str, body: Any) -> httpx2.Response:
        def send() -> httpx2.Response:
            headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
            content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            if content is not None:
                headers["Content-Type"] = "application/octet-stream" if content is body else "application/json"
            return self._http.request(method, url, headers=headers, content=content)

        return self._retried(send, repeat=method != "POST")

    def _retried(self, send: Callable[[], httpx2.Response], *, repeat: bool) -> httpx2.Response:
        """Send until the service is no longer busy, or patience ends.

        Args:
            repeat: doing it twice does no harm, so that 503, after which nobody knows, is tried again too.
        """
        began, waited, pause = time.monotonic(), 0.0, 0.5
        while True:
            answer = self._reach(send)
            if answer.status_code != 429 and not (repeat and answer.status_code in {503, 504}):
                return answer
            wait = max(_retry_after(answer), pause)
            if max(waited, time.monotonic() - began) + wait > PATIENCE:
                return answer
            self._sleep(wait)
            waited, pause = waited + wait, pause * 2

    def _reach(self, send: Callable[[], httpx2.Response]) -> httpx2.Response:
        url = self.profile.url
        try:
            return send()
        except httpx2.TimeoutException as error:
            raise TransientError(
                f"{url} did not answer within {TIMEOUT:.0f} seconds.",
                code="NotReachable",
                recommended_action="Check that the service runs and that nothing on the way holds it up.",
            ) from error
        except httpx2.TransportError as error:
            raise _unreachable(url, self.profile.ca_file, error) from error


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"The CA file {ca_file} cannot be used: {error}.",
            code="InvalidCaFile",
            recommended_action="Give the file that `dirbridge init` prints as caFile.",
        ) from error


def _unreachable(url: str, ca_file: Path | None, error: Exception) -> DirbridgeError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            trusted = f"the CA in {ca_file}" if ca_file else "the CAs of this machine"
            return ConfigurationError(
                f"The certificate of {url} is not trusted by {trusted}: {cause.verify_message}.",
                code="UntrustedCertificate",
                recommended_action="Give the service's CA by --ca-file, and a name that its certificate has by --url.",
            )
        cause = cause.__cause__ or cause.__context__
    return TransientError(
        f"{url} cannot be reached: {error}.",
        code="NotReachable",
        recommended_action="Check that the service runs there and that the address is right.",
    )


def _retry_after(answer: httpx2.Response) -> float:
    try:
        return min(max(float(answer.headers.get("Retry-After", "0")), 0.0), PATIENCE)
    except ValueError:
        return 0.0


def _json(answer: httpx2.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _busy(answer: httpx2.Response) -> TransientError:
    said = _error(answer).get("message") or f"HTTP {answer.status_code}"
    return TransientError(
        f"The service is not ready: {said}", code="ServiceBusy", recommended_action="Try again later."
    )


def _error(answer: httpx2.Response) -> dict[str, Any]:
    found = _json(answer).get("error")
    return found if isinstance(found, dict) else {}


def _content(answer: httpx2.Response) -> dict[str, Any]:
    if answer.status_code == 204 or (answer.is_success and not answer.content):
        return {}
    if answer.is_success:
        return _json(answer)
    if answer.status_code in {429, 502, 503, 504}:
        raise _busy(answer)
    error = _error(answer)
    code = str(error.get("code") or f"Http{answer.status_code}")
    said = str(error.get("message") or f"The service answered {answer.status_code} without a reason.")
    details = {"requestId": str(answer.headers["request-id"])} if "request-id" in answer.headers else {}
    if answer.status_code in {401, 403}:
        raise CredentialError(said, code=code, details=details)
    raise DirbridgeError(said, code=code, details=details)


# Output ---------------------------------------------------------------------------------------------------------------


def print_json(document: Any, *, line: bool = False) -> None:
    """Print one JSON document; on one line where several follow one another."""
    # Where not every letter can be written, JSON's own escapes keep all of them.
    unicode = sys.stdout.encoding.lower().startswith("utf")
    click.echo(json.dumps(document, ensure_ascii=not unicode, indent=None if line else 2))


def table(*headings: str, unbroken: Collection[str] = ()) -> Table:
    """Begin a list.

    Args:
        headings: of its columns.
        unbroken: those whose cells stay on one line.
    """
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, no_wrap=heading in unbroken)
    return made


def console() -> Console:
    """Give a console for tables: as wide as the terminal, or wide enough where there is none."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console(highlight=False, markup=False, emoji=False)
    return Console(highlight=False, markup=False, emoji=False, width=240)


def plain(text: object) -> str:
    """Make a text from a directory harmless at a terminal: control characters become visible."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))
