"""The page when things go wrong: refusals, a server that is away or busy, streams that break off, what is full."""

from __future__ import annotations

import json
from typing import Any

from tests.web.page.browsing import expect
from tests.web.page.chatting import WORDS, ask, prose, wait_for_answer
from tests.web.scripted import on_loopback, scripted_app
from web.service import Options


def fulfil(page, status: int, body: Any, **headers: str) -> None:
    """Answer the next request for an answer so."""
    page.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(
            status=status, body=body if isinstance(body, str) else json.dumps(body), headers=headers
        ),
        times=1,
    )


def refusal(message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def test_a_refusal_is_told_in_place_and_tried_again(page):
    fulfil(page, 400, refusal("`temperature` goes from 0 to 2"))
    ask(page, "many words")
    expect(page.locator(".notice.fault")).to_contain_text("`temperature` goes from 0 to 2")
    page.get_by_role("button", name="Try again").click()
    wait_for_answer(page)
    expect(prose(page)).to_have_text(WORDS)
    expect(page.locator(".version-count")).to_have_count(0)  # nothing was there to keep


def test_a_server_that_is_away_is_told_of_and_found_again(page):
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    ask(page, "calculate")
    expect(page.locator(".notice.fault")).to_contain_text("The server does not answer")
    expect(page.locator(".banner")).to_contain_text("The server does not answer")
    page.unroute("**/v1/**")
    page.locator(".banner").get_by_role("button", name="Try now").click()
    expect(page.locator(".banner")).to_be_hidden()
    page.get_by_role("button", name="Try again").click()
    expect(prose(page)).to_contain_text("four")


def test_a_busy_server_is_asked_again_after_the_time_it_wants(page):
    fulfil(page, 429, refusal("the queue is full"), **{"Retry-After": "2"})
    ask(page, "calculate", wait=False)
    expect(page.locator(".notice")).to_contain_text("Trying again in 2 s")
    expect(page.locator(".notice")).to_contain_text("Trying again in 1 s")
    expect(prose(page)).to_contain_text("four")


def test_waiting_for_a_busy_server_is_cut_short_or_given_up(page):
    fulfil(page, 429, refusal("the queue is full"), **{"Retry-After": "60"})
    ask(page, "calculate", wait=False)
    page.get_by_role("button", name="Try now").click()
    expect(prose(page)).to_contain_text("four")
    fulfil(page, 429, refusal("the queue is full"), **{"Retry-After": "60"})
    ask(page, "calculate", wait=False)
    expect(page.locator(".notice")).to_contain_text("Trying again")
    page.keyboard.press("Escape")
    expect(page.locator(".notice")).to_contain_text("Stopped.")


def test_a_stream_that_breaks_off_keeps_its_part(page):
    chunk = {"choices": [{"index": 0, "delta": {"content": "half of "}, "finish_reason": None}]}
    fulfil(page, 200, f"data: {json.dumps(chunk)}\r\n\r\n", **{"Content-Type": "text/event-stream"})
    ask(page, "many words")
    expect(prose(page)).to_have_text("half of")
    expect(page.locator(".notice.fault")).to_contain_text("the connection was lost")
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    wait_for_answer(page)
    expect(page.locator(".version-count")).to_have_text("2/2")


def test_an_engine_that_fails_is_told_of(browser):
    """Its server is its own: a broken engine stays broken."""
    with on_loopback(scripted_app({"fail": "{fail}"})) as url, browser.pages(url) as opened:
        page = opened()
        ask(page, "fail")
        expect(page.locator(".notice.fault")).to_be_visible()
        expect(page.locator(".question p")).to_have_text("fail")


def test_a_token_is_asked_for_and_kept_for_the_tab(browser):
    app = scripted_app({"hello": "Good day."}, options=Options(token="s3cret"))
    with on_loopback(app) as url, browser.pages(url) as opened:
        page = opened(ready=False)
        dialog = page.get_by_role("dialog", name="This server asks for an access token")
        dialog.get_by_label("Access token").fill("wrong")
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("That is not the token.")
        dialog.get_by_label("Access token").fill("s3cret")
        page.keyboard.press("Enter")
        expect(dialog).to_have_count(0)
        page.reload()
        ask(page, "hello")
        expect(prose(page)).to_have_text("Good day.")
        assert "s3cret" not in page.evaluate("JSON.stringify(localStorage)")
        page.evaluate("sessionStorage.setItem('nanogen:token', 'stale')")
        ask(page, "hello", wait=False)
        dialog.get_by_label("Access token").fill("s3cret")
        page.keyboard.press("Enter")
        expect(prose(page)).to_have_text("Good day.")  # asked again by itself


def test_a_base_model_is_said_to_continue_text(browser):
    with (
        on_loopback(scripted_app({"capital": " Paris.", "def": "\n    *a* = 1\n"}, plain=True)) as url,
        browser.pages(url) as opened,
    ):
        page = opened()
        expect(page.locator(".welcome-plain")).to_contain_text("continues text rather than answering")
        page.get_by_role("button", name="Settings").click()
        expect(page.get_by_label("System prompt")).to_have_count(0)
        expect(page.get_by_label("Recurrence r")).to_have_count(0)
        page.keyboard.press("Escape")
        ask(page, "The capital of France is")
        expect(prose(page)).to_have_text("Paris.")
        page.get_by_role("button", name="New chat").first.click()
        ask(page, "def f():")
        assert prose(page).text_content() == "\n    *a* = 1\n"  # no Markdown


def test_a_context_that_is_full_and_a_limit_that_is_reached_are_told_with_what_helps(browser):
    with on_loopback(scripted_app({"talk": WORDS}, context=300)) as url, browser.pages(url) as opened:
        page = opened()
        ask(page, "talk")
        expect(page.locator(".notice")).to_contain_text("fills the 300 tokens that this model can see")
        ask(page, "again")
        expect(page.locator(".notice").last).to_contain_text("the context holds 300")
        page.get_by_role("button", name="New chat").last.click()
        ask(page, "/tokens 5", wait=False)
        ask(page, "talk")
        expect(page.locator(".notice")).to_contain_text("limit of tokens")
        page.get_by_role("button", name="Raise the limit").click()
        expect(page.locator("#setting-max_tokens")).to_be_focused()


def test_a_full_storage_is_told_of_and_the_conversation_goes_on(page):
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    ask(page, "calculate")
    expect(page.locator(".toast")).to_contain_text("storage is full")
    expect(prose(page)).to_contain_text("four")
