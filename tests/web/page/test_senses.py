"""The page for hands, eyes and ears: keys, small screens, Japanese, colours, screen readers, scrolling."""

from __future__ import annotations

import pytest

from tests.web.page.browsing import expect
from tests.web.page.chatting import WORDS, ask, prose, wait_for_answer


def test_everything_is_reached_by_keyboard(page):
    expect(page.locator("#composer")).to_be_focused()
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    wait_for_answer(page)
    expect(page.locator(".question p")).to_have_text("one\ntwo")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("Edit your message")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#composer")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.locator("#composer")).to_be_focused()
    expect(page.locator("#composer")).to_have_value("")
    page.keyboard.press("Control+Shift+O")
    expect(page.locator(".welcome")).to_be_visible()
    page.keyboard.press("Control+Shift+Semicolon")
    expect(page.get_by_role("dialog", name="Settings")).to_be_visible()


def test_enter_that_confirms_japanese_does_not_send(open_page):
    """Safari tells of such a key by its code alone."""
    page = open_page(locale="ja-JP")
    page.fill("#composer", "変換中")
    press = """(e) => document.querySelector("#composer").dispatchEvent(
        new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...e }))"""
    for event in ({"isComposing": True}, {"keyCode": 229}):
        page.evaluate(press, event)
        expect(page.locator(".question")).to_have_count(0)
        expect(page.locator("#composer")).to_have_value("変換中")
    page.evaluate(press, {})
    expect(page.locator(".question p")).to_have_text("変換中")


def test_it_speaks_japanese_and_can_be_switched(open_page):
    page = open_page(locale="ja-JP")
    assert page.locator("html").get_attribute("lang") == "ja"
    expect(page.locator("h1")).to_have_text("新しいチャット")
    ask(page, "japanese")
    expect(prose(page)).to_have_text("はい、「強調」です。🙂")
    expect(prose(page).locator("strong")).to_have_text("「強調」")
    page.get_by_role("button", name="設定").click()
    page.get_by_label("言語").select_option("en")
    expect(page.get_by_role("button", name="New chat").first).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "en"
    expect(prose(page).locator("strong")).to_have_text("「強調」")
    page.reload()
    expect(page.get_by_role("button", name="Settings")).to_be_visible()


PHONE = {"viewport": {"width": 375, "height": 667}, "has_touch": True, "is_mobile": True}


def test_on_a_phone_all_is_within_reach(open_page):
    page = open_page(**PHONE)
    page.fill("#composer", "code that is wide: " + "x" * 300)
    page.get_by_role("button", name="Send").tap()
    wait_for_answer(page)
    page.evaluate("document.querySelector('.prose pre code').append('y'.repeat(500))")
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert page.evaluate("document.querySelector('#transcript').scrollWidth") <= 375
    box = page.locator("#composer").bounding_box()
    assert box["y"] + box["height"] <= 667
    sizes = page.evaluate(
        "[...document.querySelectorAll('input, textarea')].map((e) => getComputedStyle(e).fontSize)"
    )
    assert {"16px"} == set(sizes)  # smaller ones make phones zoom in
    page.locator(".bar").get_by_role("button", name="Conversations").tap()
    page.get_by_role("link", name="code that is wide").tap()
    expect(page.locator(".sidebar")).not_to_be_in_viewport()


def test_the_drawer_keeps_the_focus_and_gives_it_back(open_page):
    page = open_page(viewport={"width": 375, "height": 667})
    opener = page.locator(".bar").get_by_role("button", name="Conversations")
    opener.click()
    assert page.evaluate("document.querySelector('.main').inert")
    expect(page.locator(".new-chat")).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    assert not page.evaluate("document.querySelector('.main').inert")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_from_what_is_behind_them(open_page, scheme):
    """WCAG AA: 4.5 to 1."""
    page = open_page(color_scheme=scheme)
    ask(page, "calculate and code")
    page.get_by_role("button", name="Settings").click()
    assert page.evaluate(CONTRASTS) == []


CONTRASTS = """() => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color, under) => {
    paint.fillStyle = under; paint.fillRect(0, 0, 1, 1); paint.fillStyle = color; paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (c) => { const [r, g, b] = c.map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { const own = e ? getComputedStyle(e).backgroundColor : "white";
    return /, 0\\)|transparent/.test(own) ? behind(e.parentElement) : own; };
  return [...document.querySelectorAll("body *")].filter((e) =>
      [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && e.checkVisibility({ opacityProperty: true })
      && !e.closest(":disabled, .hidden, .skip")).flatMap((e) => {
    const back = behind(e);
    const [one, two] = [rgb(getComputedStyle(e).color, back), rgb(back, back)].map(light).sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    return ratio < 4.5 ? [`${e.className || e.localName} "${e.textContent.slice(0, 20)}" ${ratio.toFixed(2)}`] : [];
  });
}"""


def test_dark_comes_with_the_system_and_stays_as_it_is_switched(open_page):
    page = open_page(color_scheme="dark")
    assert background(page) == "rgb(23, 25, 24)"
    page.get_by_role("button", name="Light or dark").click()
    assert background(page) == "rgb(253, 253, 252)"
    page.reload()
    assert background(page) == "rgb(253, 253, 252)"


def background(page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_a_screen_reader_finds_its_way_and_hears_the_whole_answer_once(page):
    for role in ("banner", "navigation", "main", "form"):
        expect(page.get_by_role(role)).to_have_count(1)
    page.evaluate(
        """() => { window.said = []; new MutationObserver(() => said.push(document.querySelector("body > .hidden").textContent))
        .observe(document.querySelector("body > .hidden[aria-live=polite]"), { childList: true }); }"""
    )
    ask(page, "many words")
    page.wait_for_function("window.said.length > 0")
    assert page.evaluate("window.said") == [WORDS]
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, input, textarea, a")].filter((e) =>
        e.checkVisibility() && !e.ariaLabel && !e.textContent.trim() && !e.labels?.length).map((e) => e.outerHTML)"""
    )
    assert unnamed == []


def test_a_reader_who_went_up_is_left_there(slow_page):
    page = slow_page
    page.set_viewport_size({"width": 900, "height": 420})
    ask(page, "/tokens 300", wait=False)
    ask(page, "long text")
    down, transcript = page.get_by_role("button", name="To the end"), page.locator("#transcript")
    expect(down).to_be_hidden()
    at_end = "(e) => e.scrollHeight > e.clientHeight && e.scrollHeight - e.scrollTop - e.clientHeight < 8"
    assert transcript.evaluate(at_end)
    ask(page, "long text", wait=False)
    expect(prose(page)).to_contain_text("Paragraph 0 ")
    transcript.hover()
    page.mouse.wheel(0, -200)
    expect(down).to_be_visible()
    top = transcript.evaluate("(e) => e.scrollTop")
    wait_for_answer(page)
    assert transcript.evaluate("(e) => e.scrollTop") == top
    down.click()
    assert transcript.evaluate(at_end)
