#!/usr/bin/env python
"""Writes constraints.txt from virtual environments that the tests passed in, one for each Python.

python tools/constraints.py .venv /path/to/venv-3.10 /path/to/venv-3.12 /path/to/venv-3.13
"""

import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASIDE = ('pip', 'rein-seg')
HEADER = """\
# Versions of all packages that the tests passed with: make install CONSTRAINTS=constraints.txt
# Written by `make constraints` from environments of Python {pythons}.
"""


def installed(venv):
    """Returns the Python of an environment, such as 3.11, and its packages: name -> version."""
    python = str(Path(venv, 'bin', 'python'))
    code = 'import sys; print("%d.%d" % sys.version_info[:2])'
    version = subprocess.check_output([python, '-c', code], text=True).strip()
    freeze = [python, '-m', 'pip', 'freeze', '--all', '--exclude-editable']
    lines = subprocess.check_output(freeze, text=True).splitlines()
    found = dict(line.split('==') for line in lines if '==' in line)
    packages = {re.sub(r'[-_.]+', '-', name).lower(): found[name] for name in found}
    if 'opencv-python' in packages:  # the headless build is taken in the same version
        packages['opencv-python-headless'] = packages['opencv-python']
    return version, {name: packages[name] for name in packages.keys() - set(ASIDE)}


def lines_of(name, environments):
    """Yields the lines of a package: a line for each run of Pythons with the same version."""
    versions = {python: there[name] for python, there in environments.items() if name in there}
    runs = [(version, list(run)) for version, run in groupby(versions, versions.get)]
    for i, (version, pythons) in enumerate(runs):
        first, last = pythons[0], pythons[-1]
        ends = [f'>= "{first}"'] * (i > 0) + [f'<= "{last}"'] * (i < len(runs) - 1)
        if len(ends) == 2 and first == last:
            ends = [f'== "{first}"']
        where = ' and '.join(f'python_version {end}' for end in ends)
        yield f'{name}=={version}' + (f'; {where}' if where else '')


def main(venvs):
    """Writes the file; refuses environments that do not cover the Pythons of pyproject.toml."""
    found = dict(installed(venv) for venv in venvs)
    pythons = sorted(found, key=lambda python: tuple(map(int, python.split('.'))))
    stated = re.findall(r'Python :: (3\.\d+)"', (ROOT / 'pyproject.toml').read_text())
    if pythons != stated:
        return f'error: environments of Python {pythons}; expected one each of {stated}'
    environments = {python: found[python] for python in pythons}
    names = sorted(set().union(*environments.values()))
    lines = [line for name in names for line in lines_of(name, environments)]
    text = HEADER.format(pythons=', '.join(pythons)) + '\n'.join(lines) + '\n'
    (ROOT / 'constraints.txt').write_text(text)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
