"""The page's own files: languages, the vendored library, and the parser of the event stream."""

import hashlib
import json
import re
from pathlib import Path

from playwright.async_api import Page

from tests.system import SystemUnderTest

STREAM = (
    ': ping\n\nevent: live\nid: 7\nretry: 1000\ndata: {"n":"Żywiec"}\n\n'
    "event:x\r\ndata:a\r\ndata: b\r\n\r\ndata: last\n\n"
)

CUT_ANYWHERE = """async (text) => {
  const { EventParser } = await import("/static/event_parser.js");
  const bytes = new TextEncoder().encode(text);
  const found = [];
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const parser = new EventParser();
    found.push([...parser.push(bytes.slice(0, cut)), ...parser.push(bytes.slice(cut))]);
  }
  return found;
}"""
"""The events of a stream cut in two at every byte."""

STATIC = Path(__file__).parents[2] / "services" / "api" / "static"


def test_vendored_files_are_those_that_were_looked_at() -> None:
    expected = json.loads((STATIC / "vendor.sha256.json").read_text(encoding="utf-8"))
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (STATIC / "vendor").iterdir()}
    assert found == expected


def test_both_languages_say_everything_with_the_same_places() -> None:
    phrases = {}
    for language in ("en", "pl"):
        text = (STATIC / f"words_{language}.js").read_text(encoding="utf-8")
        found = re.findall(r'^  (\w+): "(.*)",$', text, re.MULTILINE)
        assert len(found) == len(dict(found)) > 50
        phrases[language] = {key: sorted(re.findall(r"\{(\w+)\}", phrase)) for key, phrase in found}
    assert phrases["en"] == phrases["pl"]


def test_every_word_of_the_page_is_in_the_dictionary() -> None:
    known = set(re.findall(r"^  (\w+): ", (STATIC / "words_en.js").read_text(encoding="utf-8"), re.MULTILINE))
    used = set(re.findall(r'data-word="(\w+)"', (STATIC / "index.html").read_text(encoding="utf-8")))
    for file in STATIC.glob("*.js"):
        used |= set(re.findall(r'\bsay\("(\w+)"', file.read_text(encoding="utf-8")))
    assert used - known == set()


async def test_the_event_parser_reads_a_stream_cut_anywhere(page: Page, small_cluster: SystemUnderTest) -> None:
    await page.goto("/")
    events = await page.evaluate(CUT_ANYWHERE, STREAM)
    expected = [
        {"event": "live", "data": '{"n":"Żywiec"}'},
        {"event": "x", "data": "a\nb"},
        {"event": "message", "data": "last"},
    ]
    assert all(found == expected for found in events)
    assert len(events) > 100
