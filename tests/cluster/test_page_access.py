"""The login in front of the pages, with a real oauth2-proxy and OpenID Connect provider."""

from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.browser import open_browser
from tests.support.cluster.chart import OBJECTS, Installation
from tests.support.cluster.identity_provider import (
    PORT,
    IdentityProvider,
    Visitor,
    start_identity_provider,
)
from tests.support.cluster.kube import eventually

MONITOR = "http://monitor.sky.test/monitor"
PREDICT = "http://predict.sky.test"
CLIENT = "oidc-client"
MODE = "photometric"
RELEASES = f"{MONITOR}/{MODE}/releases"
PAGES = ("monitor", "predict-page")
CONNECT = (
    "import socket, sys\n"
    "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 3); print('yes')\n"
    "except ConnectionRefusedError: print('refused')"
)


@dataclass(frozen=True)
class Site:
    """Both pages behind a login.

    Attributes:
        installation: The chart.
        provider: Where people log in.
        urls: URL of the forwarded port by host, of the pages and the provider.
    """

    installation: Installation
    provider: IdentityProvider
    urls: dict[str, str]


def wait_for_pages(installation: Installation) -> None:
    for page in PAGES:
        name = f"deployment/{installation.name}-{page}"
        installation.namespace.kubectl("rollout", "status", name, "--timeout=300s")


@pytest.fixture(scope="module")
def site(installed: Installation) -> Iterator[Site]:
    """The installed chart, with a login for the pages while these tests run."""
    namespace = installed.namespace
    with start_identity_provider() as provider, ExitStack() as stack:
        data = provider.register_client(f"{MONITOR}/oauth2/callback", f"{PREDICT}/oauth2/callback")
        namespace.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": CLIENT},
                "stringData": data,
            }
        )
        stack.callback(namespace.kubectl, "delete", "secret", CLIENT)
        stack.callback(wait_for_pages, installed)
        stack.callback(installed.install)
        here = {
            "namespaceSelector": {
                "matchLabels": {"kubernetes.io/metadata.name": provider.namespace.name}
            }
        }
        installed.install(
            images__oauth2Proxy__registry="localhost",
            access__pages__enabled=True,
            access__pages__oidc={
                "issuerUrl": provider.issuer,
                "existingSecret": CLIENT,
                "allowedGroups": ["observers"],
                "logoutUrl": f"{provider.issuer}/oauth2/end_session?id_token_hint={{id_token}}",
            },
            monitor__url=MONITOR,
            monitor__rootPath="/monitor",
            predictPage__url=PREDICT,
            networkPolicy__identityProvider={"peers": [here], "ports": [PORT]},
            networkPolicy__visitors=[here | {"podSelector": {"matchLabels": {"role": "visitor"}}}],
            networkPolicy__prometheus=[
                here | {"podSelector": {"matchLabels": {"role": "prometheus"}}}
            ],
        )
        wait_for_pages(installed)
        urls = {provider.host: provider.url}
        for page, url in zip(PAGES, (MONITOR, PREDICT), strict=True):
            tunnel = namespace.forward(f"service/{installed.name}-{page}", 80)
            urls[urlsplit(url).netloc] = stack.enter_context(tunnel)
        yield Site(installed, provider, urls)


@pytest.fixture
def visitor(site: Site) -> Iterator[Visitor]:
    """Somebody who has not logged in."""
    with Visitor(site.urls) as client:
        yield client


@pytest.fixture
def browser(site: Site, tmp_path: Path) -> Iterator[Chrome]:
    """A browser that reaches the pages and the provider at their names."""
    rules = (f"MAP {host} {urlsplit(url).netloc}" for host, url in site.urls.items())
    with open_browser(tmp_path, f"--host-resolver-rules={','.join(rules)}") as chrome:
        yield chrome


def wait_until(browser: Chrome, condition: Callable[[], object]) -> None:
    WebDriverWait(browser, 60).until(lambda _: condition())


def log_in(browser: Chrome, url: str, user: str) -> None:
    """Open a page, and log in at the provider."""
    browser.get(url)
    browser.find_element(By.CSS_SELECTOR, f"button[value={user}]").click()


def get_text(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


@pytest.mark.parametrize("url", [RELEASES, f"{PREDICT}/"])
def test_a_page_leads_to_the_provider(site: Site, visitor: Visitor, url: str) -> None:
    response = visitor.get(url)
    assert response.status_code == 302
    target = urlsplit(response.headers["location"])
    assert f"{target.scheme}://{target.netloc}" == site.provider.issuer
    query = parse_qs(target.query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["nonce"]


@pytest.mark.parametrize(
    "url",
    [
        f"{MONITOR}/static/monitor.css",
        f"{MONITOR}/metrics",
        f"{PREDICT}/theme.css",
        f"{PREDICT}/gradio_api/info",
    ],
)
def test_what_pages_load_is_unauthorized_without_a_login(visitor: Visitor, url: str) -> None:
    assert visitor.get(url).status_code == 401


def test_a_member_of_the_group_sees_the_page_after_the_login(site: Site, browser: Chrome) -> None:
    log_in(browser, RELEASES, "ada")
    assert browser.current_url == RELEASES
    assert "ada@example.org Sign out" in get_text(browser)
    assert site.installation.get_release(MODE)[:12] in get_text(browser)
    assert browser.execute_script("return document.styleSheets[0].cssRules.length")


def test_signing_out_ends_the_session(site: Site, browser: Chrome) -> None:
    log_in(browser, RELEASES, "ada")
    browser.find_element(By.LINK_TEXT, "Sign out").click()
    assert browser.current_url.startswith(site.provider.issuer)
    browser.get(RELEASES)
    assert browser.current_url.startswith(site.provider.issuer)
    name = f"pod/{site.provider.namespace.list_names('pods').pop()}"
    assert "GET /oauth2/end_session" in site.provider.namespace.kubectl("logs", name)


def test_the_prediction_page_streams_its_answer_through_the_login(
    site: Site, browser: Chrome
) -> None:
    log_in(browser, f"{PREDICT}/", "ada")
    button = "//button[normalize-space()='Classify']"
    wait_until(browser, lambda: browser.find_elements(By.XPATH, button))
    fields = browser.find_elements(By.CSS_SELECTOR, "textarea, input[type=text]")
    for field, value in zip(fields, OBJECTS[MODE][0], strict=False):
        field.send_keys(str(value))
    browser.find_element(By.XPATH, button).click()
    wait_until(browser, lambda: f"by the {MODE} model" in get_text(browser))
    assert site.installation.get_release(MODE)[:12] in get_text(browser)


def test_a_user_of_another_group_is_forbidden(visitor: Visitor) -> None:
    assert visitor.log_in(RELEASES, "eve").status_code == 403
    assert visitor.get(RELEASES).status_code == 302


def test_the_policy_of_the_page_reaches_the_browser(visitor: Visitor) -> None:
    response = visitor.log_in(RELEASES, "ada")
    assert response.status_code == 200
    assert response.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_forged_identity_is_ignored(visitor: Visitor) -> None:
    forged = {
        name: "admin@example.org"
        for name in ("X-Forwarded-Email", "X-Forwarded-User", "X-Auth-Request-Email")
    }
    assert visitor.get(RELEASES, headers=forged).status_code == 302
    visitor.log_in(RELEASES, "ada")
    page = visitor.get(RELEASES, headers=forged).text
    assert "ada@example.org" in page
    assert "admin@example.org" not in page


def test_a_changed_cookie_is_no_login(visitor: Visitor) -> None:
    visitor.log_in(RELEASES, "ada")
    (name,) = [name for name in visitor.cookies if not name.endswith("_csrf")]
    value = visitor.cookies[name]
    visitor.cookies.clear()
    cookie = {"Cookie": f"{name}={'B' if value[0] == 'A' else 'A'}{value[1:]}"}
    assert visitor.get(RELEASES, headers=cookie).status_code == 302
    assert visitor.get(RELEASES, headers={"Cookie": f"{name}={value}"}).status_code == 200


def test_metrics_have_a_port_without_login_and_pages_do_not(site: Site) -> None:
    with site.installation.namespace.forward(_get_pod(site, "monitor"), 9001) as url:
        metrics = httpx.get(f"{url}/metrics", timeout=60)
        assert f'skyclass_monitor_readable{{mode="{MODE}"}} 1.0' in metrics.text
        for path in ("/", f"/{MODE}/releases", f"/monitor/{MODE}/releases"):
            assert httpx.get(url + path).status_code == 404, path


@pytest.mark.parametrize(
    ("role", "open_ports"), [("visitor", {8000}), ("prometheus", {9001}), ("other", set())]
)
def test_only_visitors_reach_the_login_and_only_prometheus_the_metrics(
    site: Site, role: str, open_ports: set[int]
) -> None:
    shell = site.installation.start_shell(role, {"role": role}, site.provider.namespace)
    address = site.installation.namespace.get(_get_pod(site, "monitor"))["status"]["podIP"]
    eventually(
        lambda: (
            {port for port in (8000, 9000, 9001) if shell.can_connect(address, port)} == open_ports
        ),
        seconds=60,  # policies apply shortly after a pod has started
    )


@pytest.mark.parametrize("page", PAGES)
def test_the_page_itself_listens_on_loopback(site: Site, page: str) -> None:
    namespace, pod = site.installation.namespace, _get_pod(site, page)
    address = namespace.get(pod)["status"]["podIP"]
    answers = [
        namespace.kubectl("exec", pod, "-c", page, "--", "python", "-c", CONNECT, host, "9000")
        for host in ("127.0.0.1", address)
    ]
    assert [each.strip() for each in answers] == ["yes", "refused"]


def test_logs_contain_no_secret(site: Site, visitor: Visitor) -> None:
    form = visitor.get(RELEASES, follow_redirects=True)
    callback = visitor.post(form.url, data={"sub": "ada"})
    (code,) = parse_qs(urlsplit(callback.headers["location"]).query)["code"]
    visitor.get(callback.headers["location"], follow_redirects=True)
    log = site.installation.namespace.kubectl("logs", _get_pod(site, "monitor"), "-c", "login")
    assert "ada@example.org" in log
    data = site.installation.namespace.get(f"secret/{CLIENT}")["data"]
    secrets = [b64decode(data[name]).decode() for name in ("client-secret", "cookie-secret")]
    for secret in (code, *secrets, *visitor.cookies.values(), "eyJ"):
        assert secret not in log


def _get_pod(site: Site, page: str) -> str:
    """Return the pod of a page, as kubectl names it."""
    pod = site.installation.namespace.get_pod(f"app.kubernetes.io/component={page}")
    return f"pod/{pod['metadata']['name']}"
