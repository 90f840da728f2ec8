# SPDX-License-Identifier: Apache-2.0
"""Opens a page from disk in headless Chromium, and tells what a script saw there."""
import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import program

CHROMIUM = shutil.which("chromium")

# What the page looks like to a reader: pictures with something on them, the table as it stands, and after clicks on its titles.
LOOK = """
<script>
"use strict";
const names = () => [...document.querySelectorAll("#runs tbody tr td:first-child")].map((cell) => cell.textContent);
const filled = (canvas) => {
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height }).getContext("2d");
  copy.drawImage(canvas, 0, 0);  // a second look at the canvas itself would be remarked on by the console
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  for (let i = 0; i < data.length; i += 4) { if (data[i + 3] > 0) { colours.add(`${data[i]},${data[i + 1]},${data[i + 2]}`); } }
  return colours.size;
};
const seen = { title: document.title, images: document.images.length, sections: [...document.querySelectorAll("h2")].map((h) => h.textContent),
  said: [...document.querySelectorAll(".said")].map((p) => p.textContent), names: names(), sorted: {},
  canvases: [...document.querySelectorAll("canvas")].map((canvas) => ({ label: canvas.getAttribute("aria-label"), colours: filled(canvas) })) };
for (const button of document.querySelectorAll("#runs th button")) {
  const both = [];
  for (let click = 0; click < 2; ++click) { button.click(); both.push([button.parentNode.ariaSort, names()]); }
  seen.sorted[button.textContent] = both;
}
const box = document.querySelector("#runs input");
box.click();
seen.hidden = [...document.querySelectorAll("canvas")].map(filled);
box.click();
document.body.append(Object.assign(document.createElement("pre"), { id: "seen", textContent: JSON.stringify(seen) }));
</script>
"""


def skip_without_chromium():
    if CHROMIUM is None:
        print("skipped: chromium is absent (Debian: apt-get install chromium)")
        sys.exit(program.SKIP)


def chromium(page, *words):
    """Loads a file; stdout, and what the console and the network log had to say."""
    with tempfile.TemporaryDirectory(prefix="graft-chromium-") as profile:
        done = subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
             "--disable-background-networking", "--enable-logging=stderr", "--virtual-time-budget=5000",
             f"--user-data-dir={profile}", *words, pathlib.Path(page).resolve().as_uri()],
            capture_output=True, text=True, timeout=240, check=False)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def look(page):
    """What the script above has seen of a page, and every word on the console."""
    text = pathlib.Path(page).read_text(encoding="utf-8")
    with program.folder() as name:
        copy = pathlib.Path(name) / "page.html"
        copy.write_text(text.replace("</body>", LOOK + "</body>"), encoding="utf-8")
        dom, console = chromium(copy, "--dump-dom")
    found = re.search(r'<pre id="seen">(.*?)</pre>', dom, re.DOTALL)
    assert found, f"the page did not come to its end\n{console}\n{dom[-2000:]}"
    return json.loads(html.unescape(found.group(1))), console
