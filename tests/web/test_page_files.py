"""The files of the page are given out, and nothing else of the disk."""

import pytest

from web.service import PAGE, Options


@pytest.fixture
def server(live, tmp_path):
    page = tmp_path / "page"
    page.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (page / "index.html").write_text("<!doctype html><title>page</title>")
    (page / "style.css").write_text("body {}")
    (page / ".hidden").write_text("hidden")
    (page / "link.txt").symlink_to(tmp_path / "secret.txt")
    return live(options=Options(page=page))


def test_the_page_and_its_files_are_given_out(server):
    index, style = server.ask("/"), server.ask("/page/style.css")
    assert index.headers["Content-Type"].startswith("text/html")
    assert b"<title>page</title>" in index.body
    assert (style.headers["Content-Type"], style.body) == ("text/css", b"body {}")
    again = server.ask("/page/style.css", headers={"If-None-Match": style.headers["ETag"]})
    assert again.status == 304


@pytest.mark.parametrize(
    "path",
    [
        "/page/../secret.txt",
        "/page/..%2fsecret.txt",
        "/page/%2e%2e/secret.txt",
        "/page/%2e%2e%2fsecret.txt",
        "/page/.hidden",
        "/page/link.txt",
        "/page/nothing.js",
        "/page/",
        "/page",
        "/page/style.css%00",
        "/secret.txt",
    ],
)
def test_nothing_else_is(server, path):
    assert server.ask(path).status == 404


def test_the_page_that_ships_lies_beside_the_server():
    assert PAGE.parent.name == "web"
