"""The report in a browser: nothing overflows, no figure is missing, the table answers, axe does not complain."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from pathlib import Path

import pytest

from harness import report
from harness.engine.stop import Stop
from harness.examine.command import Wish, examine
from harness.examine.measure import asked
from harness.judging.folder import FILE, ResultSet
from harness.tests import report_fixtures as made

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
LONGEST = 120  # seconds to wait for a browser on a busy machine

# In the page around: the report in a frame of so many pixels; what is found in it is posted, as JSON.
AROUND = """<!DOCTYPE html><style>* {{ margin: 0; border: 0; }}</style><body>
<iframe id="frame" style="width:{width}px;height:900px">
</iframe><script>
const frame = document.getElementById("frame");
frame.addEventListener("load", async () => {{
  const page = frame.contentDocument, view = frame.contentWindow;
  const found = await (async () => {{ {body} }})().catch((error) => ({{error: String(error)}}));
  fetch("{listener}", {{method: "POST", mode: "no-cors", body: JSON.stringify(found)}});
}});
frame.srcdoc = {page};
</script></body>"""

OVERFLOW = """
  for (const each of page.querySelectorAll("details:not(.unfolded)")) each.open = true;
  const width = page.documentElement.clientWidth, outside = [...page.querySelectorAll("body *")].filter((each) =>
    !each.closest(".scroll, .spoken, nav, svg") && each.getBoundingClientRect().right > width + 1)
    .map((each) => each.outerHTML.slice(0, 80));
"""
LOOKED_AT = """
  return {
    overflow: page.documentElement.scrollWidth - width, outside,
    figures: [...page.querySelectorAll("figure")].map((each) => each.querySelectorAll("svg").length),
    flat: [...page.querySelectorAll("figure svg")].filter((each) => !each.getBoundingClientRect().height).length,
    verdicts: page.querySelector("#verdicts").getBoundingClientRect().top,
    folded: [...page.querySelectorAll(".unfolded")].map((each) => each.open),
    answer: page.querySelector(".basis summary").getBoundingClientRect().bottom,
  };
"""
USED = """
  const form = page.querySelector(".filters"), shown = () => [...page.querySelector(".verdicts.cases").tBodies]
    .filter((each) => !each.hidden && each.getBoundingClientRect().height)
    .map((each) => each.querySelector(".id").textContent);
  const choose = (name, value) => {
    form.elements[name].value = value;
    form.dispatchEvent(new view.Event("input", {bubbles: true}));
    return {shown: shown(), said: form.querySelector("output").value};
  };
  const found = {visible: !form.hidden, all: choose("headline", "")};
  found.lowpass = choose("headline", "lowpass");
  choose("headline", "");
  found.undecided = choose("verdict", "inconclusive");
  choose("verdict", "");
  found.sorted = choose("sort", "rank");
  choose("sort", "order");
  const seeds = page.querySelector(".seeds details"), table = seeds.querySelector("table");
  found.closed = seeds.getBoundingClientRect().height;
  seeds.querySelector("summary").click();
  found.opened = seeds.getBoundingClientRect().height;
  found.seeds = [...table.querySelectorAll("tbody td")].map((each) => each.textContent);
  return found;
"""
SAVED = """
  const saved = [], create = view.URL.createObjectURL;
  view.HTMLAnchorElement.prototype.click = () => {};  // nothing is downloaded
  view.URL.createObjectURL = (blob) => { saved.push(blob); return create.call(view.URL, blob); };
  const [svg, png] = page.querySelectorAll(".saving button");
  svg.click();
  png.click();
  for (let waited = 0; saved.length < 2 && waited < 100; waited++) await new Promise((done) => setTimeout(done, 50));
  const text = await saved[0].text(), bytes = new Uint8Array(await saved[1].arrayBuffer());
  const parsed = new DOMParser().parseFromString(text, "image/svg+xml");
  return {
    panels: page.querySelectorAll(".panel svg").length, buttons: page.querySelectorAll(".saving button").length,
    root: parsed.documentElement.tagName, words: parsed.querySelector("desc").textContent, text,
    png: [...bytes.slice(1, 4)].map((each) => String.fromCharCode(each)).join(""), size: bytes.length,
  };
"""
LED = """
  const target = page.querySelector(".case:not([open]) h4"), folded = target.closest("details");
  const before = folded.open;
  view.location.hash = target.id;
  for (let waited = 0; !folded.open && waited < 100; waited++) await new Promise((done) => setTimeout(done, 50));
  let copied = null;
  Object.defineProperty(view.navigator, "clipboard", {value: {writeText: async (text) => { copied = text; }}});
  page.querySelector(".copy").click();
  await new Promise((done) => setTimeout(done, 50));
  return {before, after: folded.open, copied, said: page.querySelector(".copy").textContent};
"""
AXE = """
  const axe = page.createElement("script");
  axe.textContent = window.AXE;
  page.head.append(axe);
  // What is in a drawing has one name, and tens of thousands of strokes.
  const result = await view.axe.run({include: [page], exclude: [["svg > *"]]}, {resultTypes: ["violations", "passes"]});
  const told = (each) => [each.impact, each.id, each.nodes.slice(0, 3).map((node) => node.html.slice(0, 100))];
  return {outside, passes: result.passes.length, violations: result.violations.map(told)};
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    results = made.results_folder(folder, made.catalogue(folder))
    said = ResultSet(profile="quick", subject=None, digest="").model_dump_json(by_alias=True)
    (results / FILE).write_text(said)
    return report.build(results, made.catalogue(folder)).read_text()


def axe_source():
    """axe-core itself, as a string of JavaScript."""
    return json.dumps((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")).replace("</", "<\\/")


class Listener(HTTPServer):
    """Takes what a page posts, once. Real time is waited for: of virtual time the drawing threads know nothing."""

    timeout = LONGEST
    found = b""


class Post(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self):
        self.server.found = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format, *arguments):
        """Nobody reads it."""


def look(page, tmp_path, body, width=1440, setup=""):
    """What `body` returns, run beside the page in a frame of so many pixels."""
    with Listener(("127.0.0.1", 0), Post) as listener:
        address = f"http://127.0.0.1:{listener.server_port}/"
        text = json.dumps(page).replace("</", "<\\/")
        around = AROUND.format(width=width, body=body, page=text, listener=address)
        path = tmp_path / "around.html"
        path.write_text(around.replace("<script>", f"<script>{setup}", 1))
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1600,1000"]
        command += ["--remote-debugging-port=0", f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                listener.handle_request()
            finally:
                browser.kill()
    assert listener.found, f"no answer within {LONGEST} s"
    return json.loads(listener.found)


@pytest.mark.parametrize(("width", "unfolded"), [(1440, True), (390, False)])
def test_nothing_overflows_and_every_figure_is_there(page, tmp_path, width, unfolded):
    found = look(page, tmp_path, OVERFLOW + LOOKED_AT, width)
    assert found["overflow"] <= 0
    assert found["outside"] == []
    assert found["figures"]
    assert min(found["figures"]) >= 1
    assert found["flat"] == 0
    assert set(found["folded"]) == {unfolded}
    assert found["answer"] < 844  # the first screen of a phone


def test_the_table_is_filtered_and_sorted_and_a_row_opens_to_its_seeds(page, tmp_path):
    found = look(page, tmp_path, USED)
    assert found["visible"]
    everything = found["all"]["shown"]
    assert everything == re.findall(r'<tbody[^>]*data-headline.*?class="id">(\w+)<', page, re.S)
    assert found["lowpass"]["shown"] == [claim for claim in everything if claim.startswith("F")]
    count = len(found["lowpass"]["shown"])
    assert found["lowpass"]["said"] == f"{count} of {len(everything)} cases"
    assert 0 < len(found["undecided"]["shown"]) < len(everything)
    assert sorted(found["sorted"]["shown"]) == sorted(everything) != found["sorted"]["shown"]
    assert found["opened"] > found["closed"] + 50
    assert {"0.20", "0.23", "0.27"} <= set(found["seeds"])


def test_a_panel_is_saved_as_svg_and_png_with_its_caption(page, tmp_path):
    found = look(page, tmp_path, SAVED)
    assert found["buttons"] == 2 * found["panels"] > 0
    assert found["root"] == "svg"
    assert "var(" not in found["text"]
    assert found["words"].startswith("Fig")
    assert found["png"] == "PNG"
    assert found["size"] > 5000


def test_a_link_unfolds_its_case_and_a_command_is_copied(page, tmp_path):
    found = look(page, tmp_path, LED)
    assert "error" not in found, found
    assert (found["before"], found["after"]) == (False, True)
    assert (found["copied"], found["said"]) == ("pytest claims/ --profile quick --claim F2", "Copied")


@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_serious(page, tmp_path, width):
    found = look(page, tmp_path, OVERFLOW + AXE, width, setup=f"window.AXE = {axe_source()};")
    assert found["passes"] > 20
    assert [violation for violation in found["violations"] if violation[0] in ("serious", "critical")] == []


@pytest.fixture(scope="module")
def examined(tmp_path_factory, data_store):
    """What `examine` makes of two networks, of a probe of each kind of drawing."""
    folder = tmp_path_factory.mktemp("examined")
    wish = Wish(
        models=["resnet_micro", "vit_micro"], images="digits", pretrained=False, checkpoints=[], number=12, side=None,
        classes=None, mean=None, std=None, alone=False, results=folder, store=data_store.root, data_root=None,
        device="cpu",
    )  # fmt: skip
    probes = ("fourier", "similarity", "prediction", "noise")
    with pytest.MonkeyPatch.context() as patched:
        few = [each for each in asked(12, 8, labelled=True) if each.probe in probes]
        patched.setattr("harness.examine.command.asked", lambda *where, **how: few)
        return examine(wish, Stop(None)).read_text()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize(
    "which", [pytest.param("quick/report.html", marks=pytest.mark.slow), "verdicts.html", "examined"]
)
def test_a_page_as_people_get_it_is_whole_and_axe_finds_nothing_serious(request, tmp_path, which, width):
    page = request.getfixturevalue(which) if which == "examined" else (REFERENCE / which).read_text()
    found = look(page, tmp_path, OVERFLOW + AXE, width, setup=f"window.AXE = {axe_source()};")
    assert found["outside"] == []
    assert found["passes"] > 20
    assert [violation for violation in found["violations"] if violation[0] in ("serious", "critical")] == []
