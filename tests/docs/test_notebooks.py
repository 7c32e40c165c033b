"""Every cell of the notebooks runs."""

import os
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.tutorial import TUTORIALS
from tests.paths import REPO

NOTEBOOKS = sorted(TUTORIALS.glob('*.ipynb'))


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == ['compare-methods', 'own-images', 'own-module']


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert all(not cell.outputs for cell in book.cells if cell.cell_type == 'code')


@pytest.mark.tutorial
@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    """In a folder of its own; a command that ends with an error is an error of the notebook."""
    (tmp_path / 'bin').mkdir()
    command = tmp_path / 'bin/rein-seg'
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rein_seg "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path / "bin"}{os.pathsep}{os.environ["PATH"]}')
    monkeypatch.setenv('PYTHONPATH', f'{REPO}{os.pathsep}{os.environ.get("PYTHONPATH", "")}')
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        if cell.cell_type == 'code':
            cell.source = shorter(cell.source)
    client = NotebookClient(
        book, timeout=600, kernel_name='python3', resources={'metadata': {'path': str(tmp_path)}}
    )
    client.execute()


def shorter(cell: str) -> str:
    """Returns a cell with fewer images and iterations, that stops where a command fails."""
    cell = cell.replace('COUNT = 24', 'COUNT = 6').replace('--max-iters 100', '--max-iters 21')
    cell = cell.replace('--max-iters 60', '--max-iters 21')
    checked = '\nassert _exit_code == 0'
    lines = [f'{line}{checked}' if line.startswith('!') else line for line in cell.splitlines()]
    return '\n'.join(lines)
