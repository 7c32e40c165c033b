"""Counts habits of our prose: `python -m tests.prose`, offenders with `--list FOLDER`.

Texts: docstrings and comments of rein_seg; links to papers a reader lacks are sought everywhere.
"""

import argparse
import ast
import io
import re
import sys
import tokenize
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from tests.paths import PACKAGE, REPO

WHAT = re.compile(
    r'\bwhat\s+(?:is|are|was|were|it|its|they|their|the|an?|this|that|these|those|there|one)\b',
    re.I,
)
THAT_OF = re.compile(r'\b(?:that|those)\s+of\b', re.I)
PRIVATE = re.compile('|'.join((r'\bspecs/', r'\bDESIGN\b', r'\b(?:our|the) ' + 'notes')))
WORD = re.compile(r"[A-Za-z][\w'-]*")
FOLDERS = ('rein_seg', 'configs', 'docs', 'tests', 'tools')
READ = ('.py', '.md', '.toml', '.json', '.cff', '.html', '.css', '.js')


@dataclass
class Line:
    """A line of prose: where it stands, its kind (docstring or comment) and its text."""

    path: Path
    number: int
    kind: str
    text: str


@dataclass
class Module:
    """Prose of a file of rein_seg, its public examples and how many lines hold code."""

    path: Path
    lines: list[Line] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    code: int = 0

    def prose(self, kind: str) -> list[Line]:
        return [line for line in self.lines if line.kind == kind]

    @property
    def folder(self) -> str:
        parts = self.path.relative_to(PACKAGE).parts
        return parts[0] if len(parts) > 1 else '.'


def documented(node, names=()):
    """Yields (names, docstring node) of a module, its classes and functions; nested ones, too."""
    body = getattr(node, 'body', [])
    if ast.get_docstring(node, clean=False):
        yield names, body[0].value
    for child in body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from documented(child, (*names, child.name))


def without_code(lines):
    """Leaves out doctests: from a prompt up to the next empty line."""
    inside = False
    for number, line in lines:
        inside = bool(line.strip()) and (inside or line.lstrip().startswith('>>>'))
        if not inside:
            yield number, line


def read(path: Path) -> Module:
    """Reads a module of the package."""
    module, source = Module(path), path.read_text()
    numbered = list(enumerate(source.splitlines(), start=1))
    in_docstring = set()
    for names, text in documented(ast.parse(source)):
        lines = numbered[text.lineno - 1 : text.end_lineno]
        in_docstring.update(number for number, _ in lines)
        module.lines += [Line(path, n, 'docstring', line) for n, line in without_code(lines)]
        public = not any(name.startswith('_') for name in names)
        if public and '>>>' in text.value and re.search(r'^\s*Examples?:$', text.value, re.M):
            module.examples.append('.'.join(names))
    in_code = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not re.match(r'#\s*(noqa|type:)', token.string):
            module.lines.append(Line(path, token.start[0], 'comment', token.string))
        elif token.string.strip():
            in_code.update(range(token.start[0], token.end[0] + 1))
    module.code = len(in_code - in_docstring)
    return module


def package(below: Path = PACKAGE) -> list[Module]:
    """Reads all modules of the package below a folder or file."""
    return [read(path) for path in ([below] if below.is_file() else sorted(below.rglob('*.py')))]


def matches(lines: list[Line], pattern: re.Pattern) -> list[Line]:
    """Returns the lines where a match starts, once a match; it may end on the next line."""
    found = []
    for line, after in zip_longest(lines, lines[1:]):
        follows = after and after.path == line.path and after.number == line.number + 1
        text = f'{line.text} {after.text.strip().lstrip("# ")}' if follows else line.text
        found += [line for match in pattern.finditer(text) if match.start() < len(line.text)]
    return found


def private_references(below: Path = REPO) -> list[Line]:
    """Finds references to papers that only the authors have, in all folders that we write."""
    folders = [REPO / name for name in FOLDERS] if below == REPO else [below]
    paths = [path for folder in folders for path in sorted(folder.rglob('*'))]
    paths += [path for path in REPO.iterdir() if below == REPO] + [below]
    lines = []
    for path in paths:
        if path.suffix in READ and path.is_file() and path != Path(__file__).resolve():
            text = path.read_text(errors='replace').splitlines()
            lines += [Line(path, i, 'file', line) for i, line in enumerate(text, start=1)]
    return matches(lines, PRIVATE)


def what_per_10000_words(modules: list[Module]) -> float:
    """Returns the number of "what is ..." clauses per 10,000 words of docstrings."""
    lines = [line for module in modules for line in module.prose('docstring')]
    return 1e4 * len(matches(lines, WHAT)) / sum(len(WORD.findall(line.text)) for line in lines)


def comments_per_100_lines(modules: list[Module]) -> float:
    """Returns lines with a comment per 100 lines of code."""
    comments = sum(len(module.prose('comment')) for module in modules)
    return 100 * comments / max(1, sum(module.code for module in modules))


def table(modules: list[Module]) -> list[str]:
    """Returns one line a folder, and the total."""
    row = '{:<14}{:>8}{:>10}{:>8}{:>10}{:>10}{:>8}{:>10}'
    head = ('folder', 'words', 'what/10k', 'what', 'in comm.', 'that of', 'comm.%', 'examples')
    lines = [row.format(*head)]
    folders = {module.folder: [] for module in modules}
    for module in modules:
        folders[module.folder].append(module)
    for name, group in [*sorted(folders.items()), ('all', modules)]:
        prose = {kind: [line for module in group for line in module.prose(kind)]
                 for kind in ('docstring', 'comment')}  # fmt: skip
        both = [line for module in group for line in module.lines]
        lines.append(
            row.format(
                name,
                sum(len(WORD.findall(line.text)) for line in prose['docstring']),
                f'{what_per_10000_words(group):.1f}',
                len(matches(prose['docstring'], WHAT)),
                len(matches(prose['comment'], WHAT)),
                len(matches(both, THAT_OF)),
                f'{comments_per_100_lines(group):.1f}',
                sum(len(module.examples) for module in group),
            )
        )
    return lines


def offenders(below: Path) -> list[Line]:
    """Finds the lines to write anew, in order."""
    lines = private_references(below)
    if below == PACKAGE or PACKAGE in below.parents:
        texts = [line for module in package(below) for line in module.lines]
        lines += matches(texts, WHAT) + matches(texts, THAT_OF)
    return sorted(lines, key=lambda line: (line.path, line.number))


def main():
    """Prints the table, or the offenders below a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--list', metavar='FOLDER', type=Path, help='list offenders below it')
    below = parser.parse_args().list
    if below is None:
        report = table(package())
        report.append(f'references to papers a reader lacks: {len(private_references())}')
    else:
        report = [
            f'{line.path.relative_to(REPO)}:{line.number}: {line.text.strip()}'
            for line in offenders(below.resolve())
        ]
    sys.stdout.write('\n'.join(report) + '\n')


if __name__ == '__main__':
    main()
