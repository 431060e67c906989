"""A message's text is what is said in it, not what the calculator was asked or answered."""

from runtime.chat.message import Message, Part


def test_tool_calls_are_not_text():
    parts = (Part("text", "It is "), Part("python", "1+1"), Part("output", "2"), Part("text", "2."))
    assert Message("assistant", parts).text == "It is 2."
    assert Message("user", ()).text == ""
