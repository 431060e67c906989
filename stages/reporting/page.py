"""Sections of a report as a page and as Markdown. What a model wrote is text in both, never markup."""

from __future__ import annotations

from html import escape

from attrs import frozen

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --dim: #57606a; --paper: #fff; --box: #f6f8fa; --line: #d0d7de;
        --mark: #c2571a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9aa4af; --paper: #0d1117; --box: #161b22;
        --line: #30363d; --mark: #f0883e; } }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem;
       margin: 2.5rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p.about { color: var(--dim); margin: 0; }
table { border-collapse: collapse; } th { text-align: left; font-weight: 500; color: var(--dim); padding: .15rem 1.4rem .15rem 0; vertical-align: top; }
td { padding: .15rem 0; overflow-wrap: anywhere; }
pre { background: var(--box); border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem; overflow-x: auto;
      font: 13px/1.5 ui-monospace, monospace; }
pre.sample { white-space: pre-wrap; overflow-wrap: anywhere; } pre.sample b { color: var(--mark); font-weight: 600; }
svg { width: 100%; height: auto; background: #fff; border: 1px solid var(--line); border-radius: 6px; padding: .4rem;
      box-sizing: border-box; margin-top: .8rem; }
"""
ABOUT = "Made by nanogen from the logs and results of this run."


@frozen
class Section:
    """A part of the report: prose, rows of facts, plain text, samples, and a picture; each may be empty."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    text: str = ""  # in a fixed width, as the terminal showed it
    samples: tuple[tuple[str, str], ...] = ()  # prompt, continuation
    picture: str = ""  # SVG


def as_html(title: str, sections: list[Section], *, about: str = ABOUT) -> str:
    """One page that needs nothing from elsewhere."""
    body = "\n".join(_section(s) for s in sections)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f'<body><h1>{escape(title)}</h1><p class="about">{about}</p>\n{body}\n</body></html>\n'
    )


def _section(section: Section) -> str:
    parts = [f"<h2>{escape(section.title)}</h2>"]
    if section.facts:
        rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in section.facts)
        parts.append(f"<table>{rows}</table>")
    parts.append(section.picture)
    if section.text:
        parts.append(f"<pre>{escape(section.text)}</pre>")
    for prompt, text in section.samples:
        parts.append(f'<pre class="sample"><b>{escape(prompt)}</b>{escape(text)}</pre>')
    return "\n".join(p for p in parts if p)


def as_markdown(title: str, sections: list[Section]) -> str:
    """The same, for a terminal or a repository; pictures are left to the page."""
    parts = [f"# {title}", ABOUT]
    for section in sections:
        parts.append(f"## {section.title}")
        if section.facts:
            parts.append("\n".join(f"- {k}: {v}" for k, v in section.facts))
        parts += [_fenced(t) for t in [section.text, *(p + t for p, t in section.samples)] if t]
    return "\n\n".join(parts) + "\n"


def _fenced(text: str) -> str:
    """A fence longer than any in the text, so that what a model wrote cannot end it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"
