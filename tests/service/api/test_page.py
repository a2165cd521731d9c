from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from service.api.page import POLICY, TYPES, read_files

if TYPE_CHECKING:
    from tests.conftest import Client

NAMES = sorted(read_files())


def test_the_page_is_html(client: Client) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.text.startswith("<!doctype html>")


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_served_with_its_type_and_the_policy(client: Client, name: str) -> None:
    response = client.get(f"/web/{name}")
    assert response.status_code == 200
    assert response.headers["content-type"] == TYPES[f".{name.rpartition('.')[2]}"]
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.content


def test_the_policy_lets_nothing_in_from_elsewhere_and_nothing_inline() -> None:
    assert "default-src 'none'" in POLICY
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert "*" not in POLICY


def test_a_browser_that_has_a_file_gets_no_body_again(client: Client) -> None:
    etag = client.get("/").headers["etag"]
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        response = client.get("/", headers={"if-none-match": known})
        assert response.status_code == 304
        assert response.content == b""
        assert response.headers["etag"] == etag
    assert client.get("/", headers={"if-none-match": '"other"'}).status_code == 200


def test_files_of_other_content_have_other_etags(client: Client) -> None:
    assert len({client.get(f"/web/{name}").headers["etag"] for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize(
    "path",
    ["/web/nothing.js", "/web/", "/web/../api/page.py", "/web/..%2fapi%2fpage.py", "/web/%2e%2e/app.py", "/web/x/y"],
)
def test_no_path_leads_to_another_file(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_everything_that_the_files_refer_to_is_there() -> None:
    """Scripts import, markup links and styles load only files of the page."""
    files = read_files()
    for name, file in files.items():
        text = file.content.decode()
        imported = re.findall(r'from "\./([^"]+)"', text) + re.findall(r'(?:href|src)="/web/([^"]+)"', text)
        assert set(imported) <= set(files), name
        assert not re.findall(r"""(?:src|href|url|import|fetch)\W{1,3}(?:https?:)?//""", text), name


def test_every_script_is_reached_from_the_page() -> None:
    files = read_files()
    reached, waiting = set(), ["index.html"]
    while waiting:
        text = files[waiting.pop()].content.decode()
        found = re.findall(r'from "\./([^"]+)"', text) + re.findall(r'(?:href|src)="/web/([^"]+)"', text)
        waiting += [name for name in found if name not in reached]
        reached |= set(found)
    assert reached | {"index.html"} == set(files)


def test_markup_has_no_inline_script_style_or_handler() -> None:
    markup = read_files()["index.html"].content.decode()
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", markup)
