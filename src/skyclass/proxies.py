"""Which proxy of the environment a request goes through, the same for every client.

HTTP_PROXY, HTTPS_PROXY and ALL_PROXY name proxies, NO_PROXY the hosts without one; each also in
lower case, which takes precedence. Requests to loopback never go through a proxy, which would send
them to its own machine.
"""

from ipaddress import ip_address, ip_network
from urllib.parse import unquote
from urllib.request import getproxies_environment

from urllib3.util import Url, make_headers

from skyclass.errors import SkyclassError
from skyclass.urls import omit_credentials, parse

_PORTS = {"http": 80, "https": 443}


def find_proxy(url: str) -> str | None:
    """Return the URL of the proxy for requests to a URL, or None if they are sent directly.

    Args:
        url: URL of the requests; a malformed one has no proxy, and its client reports it.

    Returns:
        An `http://` or `https://` URL with a port, and with credentials if there are any.

    Raises:
        SkyclassError: The proxy is of another kind, such as SOCKS, or its URL is malformed.
    """
    proxies = getproxies_environment()
    target = parse(url)
    proxy = proxies.get(target.scheme or "") or proxies.get("all")
    if not proxy or not target.host or _is_direct(target, proxies.get("no", "")):
        return None
    found = parse(proxy if "://" in proxy else f"http://{proxy}")
    if found.scheme not in _PORTS or not found.host:
        # Without the URL, which may contain a password.
        raise SkyclassError(
            f"the proxy for {target.scheme}://{target.host} is no HTTP proxy: correct "
            f"{(target.scheme or '').upper()}_PROXY or ALL_PROXY, or add the host to NO_PROXY"
        )
    return found._replace(port=found.port or _PORTS[found.scheme], path=None).url


def describe_proxy(url: str) -> str:
    """Return ` through the proxy …` for errors of requests to a URL; empty if they are direct.

    The credentials of the proxy are omitted.
    """
    proxy = find_proxy(url)
    return f" through the proxy {omit_credentials(proxy)}" if proxy else ""


def make_proxy_headers(proxy: str) -> dict[str, str]:
    """Return the headers that authenticate to a proxy with the credentials of its URL."""
    credentials = parse(proxy).auth
    return make_headers(proxy_basic_auth=unquote(credentials)) if credentials else {}


def get_host(url: str) -> str:
    """Return the host of a URL, an IPv6 address without brackets; empty if it is malformed."""
    return (parse(url).host or "").strip("[]")


def _is_direct(target: Url, excluded: str) -> bool:
    """Return whether a host is on loopback, or matches an entry of NO_PROXY."""
    host = (target.host or "").strip("[]").rstrip(".")
    entries = [entry.strip().lower() for entry in excluded.split(",")]
    return _is_loopback(host) or any(_matches(entry, host, target.port) for entry in entries)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _matches(entry: str, host: str, port: int | None) -> bool:
    """Return whether an entry of NO_PROXY names a host: `*`, a domain, an address or a network."""
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:  # one of them is a name, or the entry has a port
        pass
    name, _, wanted = entry.partition(":")
    if wanted and wanted != str(port):
        return False
    domain = name.removeprefix("*").lstrip(".")
    return entry == "*" or (bool(domain) and f".{host}".endswith(f".{domain}"))
