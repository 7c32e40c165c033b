"""Asks a page in a real headless browser; what it answers is in the dumped DOM."""

import html
import json
import re
import shutil
import subprocess
import urllib.parse

import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason=f'needs a browser on the PATH: one of {", ".join(NAMES)}'
)
FLAGS = (
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-extensions', '--virtual-time-budget=3000', '--enable-logging=stderr', '--dump-dom',
)  # fmt: skip
# a window is never narrower than 500 pixels: a frame is
FRAME = """<!DOCTYPE html><body style="margin:0">
<pre id="answer"></pre>
<script>
addEventListener('message', (event) => {{
  document.getElementById('answer').textContent = JSON.stringify(event.data);
}});
</script>
<iframe src="{source}" style="width:{width}px;height:800px;border:0"></iframe></body>"""
ASK = """<script>
addEventListener('load', () => setTimeout(() => {{
  const answer = (() => {{ {script} }})();
  parent.postMessage(answer, '*');
}}, 50));
</script></body>"""


def ask(folder, page, script, *, address='', width=1200, dark=False):
    """Runs a script in a page after it has loaded; returns what the script returns.

    Args:
        folder: Gets the page.
        page: HTML.
        script: Body of a JavaScript function.
        address: What follows # in the page's address.
        width: Of the page in pixels.
        dark: Whether the reader prefers dark colours.

    Raises:
        AssertionError: If the page writes anything to the console, or does not answer.
    """
    (folder / 'page.html').write_text(
        page.replace('</body>', ASK.format(script=script)), encoding='utf-8'
    )
    source = html.escape('page.html#' + urllib.parse.quote(address, safe='=&:'))
    (folder / 'frame.html').write_text(FRAME.format(source=source, width=width))
    scheme = ['--blink-settings=preferredColorScheme=0'] * dark
    command = [BROWSER, *FLAGS, *scheme, f'--user-data-dir={folder}/profile']
    done = subprocess.run(
        [*command, (folder / 'frame.html').as_uri()], capture_output=True, text=True, timeout=120
    )
    said = [line for line in done.stderr.splitlines() if 'CONSOLE' in line]
    assert not said, said
    found = re.search(r'<pre id="answer">(.+?)</pre>', done.stdout, re.S)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))
