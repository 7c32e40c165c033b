"""The pages of docs/reference that are made of the code and need no training: writes them.

make support
"""

from __future__ import annotations

import rein_seg.apis  # noqa: F401  registers the classes
from tests.docs import commands_page, config_page, fast_page

PAGES = (commands_page, config_page, fast_page)


def main() -> None:
    """Writes the pages."""
    for page in PAGES:
        page.DOCUMENT.write_text(page.document())


if __name__ == '__main__':
    main()
