"""MkDocs hooks: links to files outside of docs/ lead to pages that show those files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r'(?<=\]\()((?:\.\./)+[^)#\s]+)')
SHOWN = {'.py': 'python', '.md': 'markdown', '.sh': 'bash', '.toml': 'toml', '.cff': 'yaml'}


def _source(page: str, link: str) -> Path | None:
    """Returns the file of the repository that a link of a page in docs/ leaves docs/ for."""
    path = (ROOT / 'docs' / page).parent.joinpath(link).resolve()
    inside = path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / 'docs')
    return path if inside and path.is_file() else None


def _page_of(source: Path) -> str:
    return f'source/{source.relative_to(ROOT)}.md'


def on_files(files: Files, config: Any) -> Files:
    """Adds a page for each file of the repository that a page links to."""
    sources = {
        source
        for page in files.documentation_pages()
        for link in LINK.findall(page.content_string)
        if (source := _source(page.src_uri, link))
    }
    for source in sorted(sources):
        language = SHOWN.get(source.suffix, 'text')
        body = f'# {source.relative_to(ROOT)}\n\n````{language}\n{source.read_text()}````\n'
        files.append(File.generated(config, _page_of(source), content=body))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Points such links to the pages that `on_files` added."""
    here = page.file.src_uri

    def shown(match: re.Match) -> str:
        source = _source(here, match[1])
        return os.path.relpath(_page_of(source), Path(here).parent) if source else match[1]

    return LINK.sub(shown, markdown)
