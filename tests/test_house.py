"""Rules of the tests themselves."""

import ast

from tests.paths import REPO


def imported(path):
    """Yields the modules that a file imports, in functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ''
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def test_nothing_is_imported_from_a_test_file():
    """A helper of two tests lies in a module of its own, which can move and be read alone."""
    found = [
        f'{path.relative_to(REPO)}: {name}'
        for path in sorted((REPO / 'tests').rglob('*.py'))
        for name in imported(path)
        if name.startswith('tests.') and '.test_' in name
    ]
    assert not found
