"""The demo as a page, in a headless Chromium: what a person sees, sends and is refused, in light and in dark."""

import http.client
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from release import version
from tests import deploy, iris, people, scenes
from tests.cloud import process
from tests.cloud.client import Cloud
from tests.cloud.endpoints import REGION, Endpoint
from tests.page import actions, background, browser, server
from tests.page.actions import Deployed
from tests.page.background import PAGE

PARENT, CHILD = "212121212121", "313131313131"
# Where the pictures of docs/ come from.
PICTURES = deploy.ROOT / "target" / "page"
ROWS = "Rows: sepal length"


@pytest.fixture(scope="module")
def deployed(cloud: Cloud) -> Deployed:
    for name, container in (("iris", "iris"), ("words", "words"), (scenes.OUTSIDE, "echo")):
        cloud.put_endpoint(Endpoint(PARENT, REGION, name, container))
    grant = {"EndpointNames": scenes.GRANTED, "CallerAttribution": "true"}
    parent = deploy.deploy(cloud, PARENT, "parent", {**grant, "TrustedAccountIds": [CHILD]}, "page-parent")
    alice = people.user(cloud, CHILD, scenes.TESTER)
    given = {**grant, "RoleArn": parent.outputs["RoleArn"], "UserNames": [scenes.TESTER]}
    child = deploy.deploy(cloud, CHILD, "child", given, "page-child")
    return background.with_outsider(scenes.Deployed(cloud, parent, child, alice))


@pytest.fixture(scope="module")
def url(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("page")
    running = background.start(deployed, 0, directory)
    try:
        assert (directory / "deployed.json").stat().st_mode & 0o077 == 0
        yield running.url
    finally:
        assert background.stop(directory)
        assert process.status(directory, PAGE) is None


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    try:
        executable, environment = browser.find()
    except browser.NoBrowser as none:
        pytest.skip(str(none))
    with sync_playwright() as playwright:
        # Without a sandbox, since it may run as root: it opens this project's own page alone.
        made = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox"], env={**os.environ, **environment}
        )
        yield made
        made.close()


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, chromium: Browser, url: str) -> Iterator[Page]:
    made = chromium.new_page(
        color_scheme=request.param, viewport={"width": 1200, "height": 900}, reduced_motion="reduce"
    )
    troubles: list[str] = []
    made.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    made.on("pageerror", lambda error: troubles.append(str(error)))
    made.goto(url)
    expect(made.get_by_text(version.of_workspace())).to_be_visible()
    yield made
    made.close()
    # Also what the Content-Security-Policy would have kept from running.
    assert troubles == []


def sequence(page: Page) -> list[tuple[str, str]]:
    rows = page.get_by_role("region", name="The calls").locator("tbody tr").all()
    return [
        (row.locator("td").nth(0).inner_text().splitlines()[0], row.locator("td").nth(1).inner_text()) for row in rows
    ]


def test_it_shows_the_two_accounts_and_the_grant(page: Page, deployed: Deployed):
    child, parent = page.get_by_role("region", name="Child account"), page.get_by_role("region", name="Parent account")
    for shown in (CHILD, "alice", deployed.child.outputs["GroupArn"], deployed.child.outputs["ApiUrl"]):
        expect(child.get_by_text(shown, exact=True)).to_be_visible()
    for shown in (PARENT, "iris, words", deployed.parent.outputs["RoleArn"], f"arn:aws:iam::{CHILD}:root"):
        expect(parent.get_by_text(shown, exact=True)).to_be_visible()
    expect(page.get_by_text("only with the ExternalId")).to_be_visible()


def test_rows_are_sent_and_each_call_is_seen_with_its_time(page: Page):
    page.get_by_role("button", name="Send rows").click()
    cells = page.locator("#species tbody tr td:nth-child(2)")
    expect(cells).to_have_text(iris.LABELS)
    expect(page.get_by_role("status")).to_contain_text("200 answered")
    expect(page.get_by_role("status")).to_contain_text(re.compile(r"assume [\d.]+ ms · .*invoke [\d.]+ ms"))
    assert sequence(page) == [
        ("alice › API Gateway, child", "200"),
        ("the invoker › STS, for the parent's role", "200"),
        ("the invoker › SageMaker, parent", "200"),
    ]
    expect(page.get_by_text("session alice@")).to_be_visible()


def test_other_rows_are_the_models_to_answer(page: Page):
    page.get_by_label(ROWS).fill("7.0,3.2,4.7,1.4")
    page.get_by_role("button", name="Send rows").click()
    expect(page.locator("#species tbody tr td:nth-child(2)")).to_have_text(["versicolor"])


def test_what_the_model_refuses_is_said(page: Page):
    page.get_by_label(ROWS).fill("four numbers, please")
    page.get_by_role("button", name="Send rows").click()
    expect(page.get_by_role("status")).to_contain_text("424 refused: ModelError")
    expect(page.get_by_role("status")).to_contain_text("A model was reached.")


def test_a_stream_arrives_in_parts(page: Page):
    page.get_by_role("button", name="Stream").click()
    expect(page.get_by_role("status")).to_contain_text("200 answered")
    parts = page.get_by_role("list", name="Parts of the answer").get_by_role("listitem")
    assert parts.count() > 3
    times = [float(shown.removesuffix(" ms")) for shown in parts.locator("small").all_inner_texts()]
    assert times == sorted(times) and times[0] < times[-1]
    assert [to for to, _ in sequence(page)][-1] == "the invoker › SageMaker, parent"


@pytest.mark.parametrize(
    ("name", "status", "calls"),
    [
        (
            "No signature",
            "403 refused: MissingAuthenticationToken",
            [("nobody (unsigned) › API Gateway, child", "403")],
        ),
        ("Not in the group", "403 refused: AccessDenied", [("bob › API Gateway, child", "403")]),
        ("An endpoint that is not granted", "404 refused: ValidationError", [("alice › API Gateway, child", "404")]),
        ("A wrong ExternalId", "403 refused: AccessDenied", [("alice › STS, for the parent's role", "403")]),
    ],
)
def test_a_refusal_is_one_and_reaches_no_model(page: Page, name: str, status: str, calls: list[tuple[str, str]]):
    page.get_by_role("button", name=name).click()
    expect(page.get_by_role("status")).to_contain_text(status)
    expect(page.get_by_role("status")).to_contain_text("No model was reached.")
    assert sequence(page) == calls


def test_it_is_accessible_before_and_after_an_answer_and_pictures_are_taken(page: Page, request: pytest.FixtureRequest):
    assert violations(page) == []
    page.get_by_role("button", name="Stream").click()
    expect(page.get_by_role("status")).to_contain_text("200 answered")
    # By keyboard alone.
    page.get_by_label(ROWS).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#species")).to_be_visible()
    expect(page.get_by_role("button", name="Send rows")).to_be_focused()
    assert violations(page) == []
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=PICTURES / f"demo-{request.node.callspec.params['page']}.png", full_page=True)


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


def test_it_fits_a_narrow_window(page: Page):
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def ask(url: str, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)) as connection:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_no_key_reaches_the_page(url: str, deployed: Deployed):
    rows = json.dumps({"text": "5.1,3.5,1.4,0.2"})
    told = "".join(
        ask(url, method, path, rows if method == "POST" else "", content_type="application/json")[1]
        for method, path in (("GET", "/"), ("GET", "/api/world"), ("POST", "/api/invoke"), ("POST", "/api/stream"))
    )
    for caller in (deployed.member, deployed.outsider):
        assert caller.access_key not in told and caller.secret_key not in told


@pytest.mark.parametrize(
    ("call", "status"),
    [
        # Another name that leads here, and another origin's form.
        (lambda url: ask(url, "GET", "/api/world", host="rebound.example"), 421),
        (lambda url: ask(url, "POST", "/api/invoke", '{"text": "1"}', content_type="text/plain"), 415),
        (lambda url: ask(url, "POST", "/api/invoke", '{"text": 1}', content_type="application/json"), 413),
        (lambda url: ask(url, "POST", "/api/invoke", "{", content_type="application/json"), 400),
        (
            lambda url: ask(
                url, "POST", "/api/invoke", json.dumps({"text": "1" * 4097}), content_type="application/json"
            ),
            413,
        ),
        (lambda url: ask(url, "POST", "/api/invoke", "", content_type="application/json", content_length="9" * 9), 413),
        (lambda url: ask(url, "POST", "/api/refusals/none", "{}", content_type="application/json"), 404),
        (lambda url: ask(url, "GET", "/api/../deployed.json"), 404),
    ],
)
def test_it_answers_its_own_page_alone(
    url: str, deployed: Deployed, call: Callable[[str], tuple[int, str]], status: int
):
    with deployed.cloud.recording() as seen:
        assert call(url)[0] == status
    assert (seen.calls, seen.invocations) == ([], [])


def test_it_listens_on_loopback_alone(deployed: Deployed):
    made = server.make(0, actions.Actions(deployed))
    try:
        assert made.server_address[0] == "127.0.0.1"
    finally:
        made.server_close()


def test_the_pictures_in_the_docs_are_small():
    pictures = sorted((deploy.ROOT / "docs").glob("demo-*.png"))
    assert [picture.name for picture in pictures] == ["demo-dark.png", "demo-light.png"]
    assert all(Path(picture).stat().st_size < 300_000 for picture in pictures)
