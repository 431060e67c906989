"""The page, in a real browser and against the real server of a scripted engine: asking, answers, conversations, settings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.web.page.browsing import expect
from tests.web.page.chatting import WORDS, answer, ask, prose, requests_of, wait_for_answer

# -- asking


def test_an_answer_streams_in_and_its_figures_come_with_the_end(slow_page):
    ask(slow_page, "many words", wait=False)
    expect(prose(slow_page)).to_contain_text("word9")
    assert "word69" not in prose(slow_page).text_content()
    expect(slow_page.get_by_role("button", name="Stop")).to_be_visible()
    expect(prose(slow_page)).to_contain_text("word69")
    expect(slow_page.locator(".figures")).to_have_text(
        re.compile(r"^[\d,]+ tokens · [\d.,]+ tokens/s · r = 4$")
    )
    expect(slow_page.get_by_role("button", name="Send")).to_be_disabled()
    assert slow_page.title() == "many words · quickstart/base"


def test_stopped_midway_the_part_stays_and_can_be_continued(slow_page):
    ask(slow_page, "many words", wait=False)
    expect(prose(slow_page)).to_contain_text("word9")
    slow_page.keyboard.press("Escape")
    expect(answer(slow_page)).to_contain_text("Stopped.")
    part = kept_text(slow_page)
    assert part.startswith("word0")
    assert "word69" not in part
    bodies = requests_of(slow_page)
    slow_page.get_by_role("button", name="Continue").click()
    expect(prose(slow_page)).to_contain_text(f"{part}word0 word1 ")  # the script begins anew
    assert bodies[0]["messages"][-1] == {"role": "assistant", "content": part}


def kept_text(page) -> str:
    """What is kept of the last message of the only conversation."""
    kept = "Object.entries(localStorage).find(([name]) => name.startsWith('nanogen:conversation:'))[1]"
    return json.loads(page.evaluate(kept))["messages"][-1]["parts"][0]["text"]


def test_the_stop_button_stops_too(slow_page):
    ask(slow_page, "many words", wait=False)
    expect(prose(slow_page)).to_contain_text("word3")
    slow_page.get_by_role("button", name="Stop").click()
    expect(answer(slow_page)).to_contain_text("Stopped.")


def test_an_edited_question_is_sent_anew_and_the_old_one_is_a_version(page):
    ask(page, "first thing")
    ask(page, "second thing")
    page.locator(".question").first.get_by_role("button", name="Edit").click()
    page.get_by_label("Edit your message").fill("other thing")
    page.keyboard.press("Enter")
    wait_for_answer(page)
    assert page.locator(".question p").all_text_contents() == ["other thing"]
    expect(prose(page)).to_have_text("other thing")
    expect(page.locator(".version-count")).to_have_text("2/2")
    page.get_by_role("button", name="Version before").click()
    assert page.locator(".question p").all_text_contents() == ["first thing", "second thing"]
    expect(page.get_by_role("button", name="Version after")).to_be_focused()


def test_answered_anew_both_answers_stay(page):
    ask(page, "draw one")
    first = prose(page).text_content()
    page.get_by_role("button", name="Answer anew").click()
    wait_for_answer(page)
    second = prose(page).text_content()
    assert first != second
    assert first.startswith("drawn with")
    assert second.startswith("drawn with")
    expect(page.locator(".version-count")).to_have_text("2/2")
    page.get_by_role("button", name="Version before").click()
    expect(prose(page)).to_have_text(first)


def test_a_conversation_outlives_a_reload_and_is_found_in_the_list(page):
    ask(page, "calculate this")
    page.reload()
    expect(page.locator(".call-line")).to_have_text("calculated 2+2 = 4")
    expect(page.locator(".figures")).to_be_visible()
    page.get_by_role("button", name="New chat").first.click()
    expect(page.locator(".welcome")).to_be_visible()
    page.get_by_role("link", name="calculate this").click()
    expect(prose(page)).to_contain_text("that is four")
    page.go_back()
    expect(page.locator(".welcome")).to_be_visible()


def test_reloaded_midway_the_part_that_came_is_kept(slow_page):
    ask(slow_page, "many words", wait=False)
    expect(prose(slow_page)).to_contain_text("word20")
    slow_page.reload()
    expect(answer(slow_page)).to_contain_text("The page was closed while this was being written.")
    assert re.match("word0 word1 .*word20", prose(slow_page).text_content())
    slow_page.get_by_role("button", name="Try again").click()
    expect(prose(slow_page)).to_have_text(re.compile("^word0 word1 word2( word3)?"))
    slow_page.keyboard.press("Escape")
    expect(slow_page.locator(".version-count")).to_have_text("2/2")


def test_an_answer_goes_on_while_another_conversation_is_read(slow_page):
    ask(slow_page, "many words", wait=False)
    expect(prose(slow_page)).to_contain_text("word2")
    slow_page.keyboard.press("Control+Shift+O")
    ask(slow_page, "calculate")
    expect(prose(slow_page)).to_contain_text("four")
    slow_page.get_by_role("link", name="many words").click()
    expect(prose(slow_page)).to_have_text(WORDS)


def test_a_draft_is_not_lost(page):
    page.fill("#composer", "half a thought")
    ask_link = page.get_by_role("button", name="New chat").first
    page.reload()
    expect(page.locator("#composer")).to_have_value("half a thought")
    ask(page, "something else")
    page.fill("#composer", "for this conversation")
    ask_link.click()
    expect(page.locator("#composer")).to_have_value("")
    page.get_by_role("link", name="something else").click()
    expect(page.locator("#composer")).to_have_value("for this conversation")


# -- what a model writes


def test_a_tool_call_is_shown_as_one_and_sent_back_as_one(page):
    ask(page, "calculate this")
    call = page.locator(".call-line")
    expect(call).to_have_text("calculated 2+2 = 4")
    expect(page.locator(".call-full")).to_be_hidden()
    call.click()
    expect(call).to_have_attribute("aria-expanded", "true")
    assert page.locator(".call-full code").all_text_contents() == ["2+2", "4"]
    bodies = requests_of(page)
    ask(page, "and now")
    assert bodies[0]["messages"][1]["content"] == [
        {"type": "text", "text": "So 2 and 2 is "},
        {"type": "python", "text": "2+2"},
        {"type": "output", "text": "4"},
        {"type": "text", "text": ", that is **four**."},
    ]
    assert bodies[0]["messages"][0] == {"role": "user", "content": "calculate this"}


def test_a_tool_call_that_failed_says_so(page):
    ask(page, "in vain")
    expect(page.locator(".call-line")).to_have_text("could not calculate 1/0")
    page.locator(".call-line").click()
    expect(page.locator(".call-full")).to_contain_text("error: division by zero")


@pytest.mark.parametrize("question", ["hostile", "deep"])
def test_nothing_that_a_model_writes_becomes_script_or_leaves_the_machine(page, question):
    """Foreign requests, script errors and breaches of the policy fail in the fixture."""
    ask(page, f"{question} please")
    page.reload()
    expect(prose(page)).to_be_visible()
    assert page.evaluate("window.hacked") is None
    shown = page.locator(".prose").evaluate(
        """(prose) => ({
          tags: [...new Set([...prose.querySelectorAll("*")].map((e) => e.localName))],
          attributes: [...new Set([...prose.querySelectorAll("*")].flatMap((e) => e.getAttributeNames()))],
          links: [...prose.querySelectorAll("a")].map((a) => [a.protocol, a.rel]),
          text: prose.textContent,
          depth: Math.max(...[...prose.querySelectorAll("*")].map((e) => {
            let depth = 0; for (let at = e; at !== prose; at = at.parentNode) depth++; return depth; })),
        })"""
    )
    assert not {"script", "img", "iframe", "style", "base", "meta"} & set(shown["tags"])
    assert not [
        name for name in shown["attributes"] if name.startswith("on") or name in ("style", "src", "srcdoc")
    ]
    assert all(protocol in ("http:", "https:", "mailto:") for protocol, _ in shown["links"])
    assert all(rel == "noopener noreferrer" for _, rel in shown["links"])
    assert not re.search("[\u0007\u202a-\u202e]", shown["text"])
    assert shown["depth"] < 80
    if question == "hostile":
        assert "<script>window.hacked = 1</script>" in shown["text"]
        assert "[click](javascript:window.hacked=4)" in shown["text"]


def test_code_is_coloured_and_copied(open_page):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    ask(page, "code")
    expect(page.locator(".code-language")).to_have_text("python")
    expect(page.locator(".code-comment")).to_have_text("# one")
    page.get_by_role("button", name="Copy code: python").click()
    page.wait_for_function("navigator.clipboard.readText().then((t) => t === 'print(1)  # one')")
    page.get_by_role("button", name="Copy answer").click()
    page.wait_for_function("navigator.clipboard.readText().then((t) => t.startsWith('Look:'))")


# -- conversations


def test_conversations_are_found_named_deleted_and_brought_back(page):
    ask(page, "about cats")
    page.keyboard.press("Control+Shift+O")
    ask(page, "about dogs")
    page.get_by_label("Search conversations").fill("CATS")
    assert page.locator(".row a").all_text_contents() == ["about cats"]
    page.get_by_label("Search conversations").fill("")
    page.locator(".topbar").get_by_role("button", name="What to do with this conversation").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.keyboard.type("My dogs")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("My dogs")
    page.locator(".topbar").get_by_role("button", name="What to do with this conversation").click()
    page.get_by_role("menuitem", name="Delete").click()
    assert page.locator(".row a").all_text_contents() == ["about cats"]
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("My dogs")
    expect(prose(page)).to_have_text("about dogs")


def test_what_is_deleted_is_gone_after_a_reload(page):
    ask(page, "a secret")
    page.locator(".topbar").get_by_role("button", name="What to do with this conversation").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.reload()
    expect(page.locator(".welcome")).to_be_visible()
    expect(page.locator(".row")).to_have_count(0)
    assert "secret" not in page.evaluate("JSON.stringify(localStorage)")


def test_saved_as_json_and_opened_again_nothing_is_missing(page, tmp_path):
    ask(page, "calculate <this> & that")
    page.get_by_role("button", name="Answer anew").click()
    wait_for_answer(page)
    before = page.locator(".column").inner_text()
    path = save(page, "Save as JSON", tmp_path)
    assert json.loads(path.read_text())["format"] == "nanogen conversations 1"
    page.get_by_role("button", name="What to do with all conversations").click()
    page.get_by_role("menuitem", name="Delete all").click()
    expect(page.locator(".row")).to_have_count(0)
    open_file(page, path)
    expect(page.locator(".row")).to_have_count(1)
    assert page.locator(".column").inner_text() == before


def test_saved_as_markdown_it_can_be_read(page, tmp_path):
    ask(page, "calculate this")
    text = save(page, "Save as Markdown", tmp_path).read_text()
    assert text.startswith("# calculate this\n\nquickstart/base · ")
    assert (
        "## You\n\ncalculate this\n\n## quickstart/base\n\nSo 2 and 2 is  `2+2 = 4` , that is **four**."
        in text
    )


def test_a_file_that_holds_no_conversation_is_refused(page, tmp_path):
    for text in ("no json", "[1]", '{"messages": [{"role": "boss", "content": "x"}]}', "{}"):
        path = tmp_path / "file.json"
        path.write_text(text)
        open_file(page, path)
        expect(page.locator(".toast")).to_contain_text("no conversation that can be read")
        expect(page.locator(".row")).to_have_count(0)
        page.locator(".toast").get_by_role("button", name="Close").click()


def save(page, name: str, folder: Path) -> Path:
    page.locator(".topbar").get_by_role("button", name="What to do with this conversation").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=name).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def open_file(page, path: Path) -> None:
    page.get_by_role("button", name="What to do with all conversations").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("menuitem", name="Open a saved file").click()
    chooser.value.set_files(path)


# -- settings and commands


def test_settings_are_sent_kept_and_put_back(page):
    page.get_by_role("button", name="Settings").click()
    page.locator("#setting-temperature").fill("0.3")
    page.locator("#setting-r").fill("9")
    page.locator("#setting-seed").fill("7")
    page.locator("#setting-system").fill("Be kind.")
    page.keyboard.press("Escape")
    page.reload()
    bodies = requests_of(page)
    ask(page, "dial")
    expect(prose(page)).to_have_text("r is 9")
    expect(page.locator(".figures")).to_contain_text("r = 9")
    body = bodies[0]
    assert body["messages"][0] == {"role": "system", "content": "Be kind."}
    assert (body["temperature"], body["dials"], body["seed"]) == (0.3, {"r": 9}, 7)
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("button", name="Recurrence r back to the usual").click()
    expect(page.locator("#setting-r")).to_have_value("4")
    page.get_by_role("button", name="All back to the usual").click()
    expect(page.locator("#setting-temperature")).to_have_value("1")  # the server's
    page.keyboard.press("Escape")
    ask(page, "dial")
    assert bodies[1]["temperature"] == 1
    assert "seed" not in bodies[1]


def test_a_value_out_of_bounds_is_marked_and_not_taken(page):
    page.get_by_role("button", name="Settings").click()
    field = page.locator("#setting-r")
    field.fill("99")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.blur()
    expect(field).to_have_value("4")


def test_commands_set_and_tell_and_are_not_sent(page):
    bodies = requests_of(page)
    page.fill("#composer", "/te")
    expect(page.locator(".commands button")).to_have_count(1)
    page.keyboard.press("Tab")
    page.keyboard.type("0.25")
    page.keyboard.press("Enter")
    expect(page.locator(".note")).to_have_text("Temperature is now 0.25")
    ask(page, "/topk", wait=False)
    expect(page.locator(".note").last).to_have_text("Top-k is 50")
    ask(page, "/r 99", wait=False)
    expect(page.locator(".note").last).to_have_text("Recurrence r goes from 1 to 16")
    ask(page, "/nothing", wait=False)
    expect(page.locator(".note").last).to_contain_text("There is no command /nothing")
    ask(page, "hello")
    assert [body["temperature"] for body in bodies] == [0.25]
    ask(page, "/clear", wait=False)
    expect(page.locator(".welcome")).to_be_visible()
    expect(page.locator(".note")).to_have_count(0)
