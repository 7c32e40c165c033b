"""Reads the folder of a run and compares its config with the requested config.

``run.json`` holds the resolved config of the run and its sessions. An interrupted run has several
sessions, each with the version of the code that it ran.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import rein_seg
from rein_seg.checkpoint import write_json
from rein_seg.config.differences import differences
from rein_seg.environment import describe_environment
from rein_seg.errors import UserError

RUN_FILE = 'run.json'
_SHOWN = 3  # deviations in a message


def code_fingerprint() -> dict[str, str]:
    """Returns the versions of all packages that results depend on, and a digest of our sources.

    Left out are the sources of this folder, which only start runs and read their results, and the
    shipped configs: a run stores the config it was made with.
    """
    root = Path(rein_seg.__file__).parent
    aside = {Path(__file__).parent, root / 'configs'}
    digest = hashlib.sha256()
    # sorted: file systems list in any order, and the digest depends on it
    for path in sorted(root.rglob('*.py')):
        if not aside & set(path.parents):
            digest.update(path.relative_to(root).as_posix().encode() + b'\0')
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    packages = describe_environment()['packages'].items()
    versions = {name: version for name, version in packages if version and name != 'rein-seg'}
    return {'rein_seg': digest.hexdigest()[:16], **versions}


def run_request(config: Mapping[str, Any], *, amp: bool = False) -> dict[str, Any]:
    """Returns the request for a run (config and precision), as JSON would read it back."""
    return json.loads(json.dumps({'config': config, 'amp': amp}, default=str))


def run_state(folder: Path, request: Mapping[str, Any], code: Mapping[str, str] | None) -> str:
    """Returns the state of a run: ``new``, ``interrupted`` (it has a checkpoint) or ``finished``.

    A folder with neither results nor checkpoint holds nothing to lose, so its run is new. Results
    are not final if their process failed after writing them.

    Args:
        folder: Folder of the run.
        request: From `run_request`.
        code: From `code_fingerprint`; None accepts runs of any code.

    Raises:
        UserError: If the folder holds a run of another config, of other code, or a run that no
            comparison started.
    """
    results = (folder / 'results.json').is_file()
    if not results and not any(folder.glob('iter_*.pth')):
        return 'new'
    if not (folder / RUN_FILE).is_file():
        raise UserError(
            f'{folder} holds a run that no comparison started (it has no {RUN_FILE}): what it was '
            'made with is not known; move it away or name another --work-dir'
        )
    stored = read_run(folder)
    made = {key: stored.get(key) for key in request}
    found = list(deviations(made, request))
    if found:
        more = f' (and {len(found) - _SHOWN} more)' if len(found) > _SHOWN else ''
        raise UserError(
            f'{folder} holds a run of another config: {"; ".join(found[:_SHOWN])}{more}; delete '
            'that folder to run it anew, or name another --work-dir'
        )
    if code is not None:
        _check_code(folder, stored, code)
    return 'finished' if results and stored['sessions'][-1]['exit'] in (0, None) else 'interrupted'


def _check_code(folder: Path, stored: Mapping[str, Any], code: Mapping[str, str]) -> None:
    for session in stored['sessions']:
        found = list(deviations(session['code'], code, now='now'))
        if found:
            raise UserError(
                f'{folder} holds a run that other code made: {"; ".join(found)}; delete that '
                'folder to run it anew, name another --work-dir, or take it as it is with '
                '--other-code'
            )


def read_run(folder: Path) -> dict[str, Any]:
    """Reads ``run.json``; empty if it is missing."""
    return read_json(folder / RUN_FILE) if (folder / RUN_FILE).is_file() else {}


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        UserError: If the file holds no JSON object.
    """
    try:
        content = json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise UserError(f'{path} cannot be read ({error}); delete the folder it is in') from error
    if not isinstance(content, dict):
        raise UserError(f'{path} holds no JSON object; delete the folder it is in')
    return content


def begin_session(
    folder: Path, request: Mapping[str, Any], code: Mapping[str, str], *, resumed: bool, jobs: int
) -> None:
    """Records in ``run.json`` that a process is about to start."""
    sessions = read_run(folder)['sessions'] if resumed else []
    session = {'code': dict(code), 'jobs': jobs, 'seconds': None, 'exit': None}
    write_json(folder / RUN_FILE, {**request, 'sessions': [*sessions, session]})


def end_session(folder: Path, seconds: float, exit_code: int) -> None:
    """Records in ``run.json`` that the process ended."""
    content = read_run(folder)
    content['sessions'][-1].update(seconds=round(seconds, 1), exit=exit_code)
    write_json(folder / RUN_FILE, content)


def wall_seconds(sessions: list[dict[str, Any]]) -> float | None:
    """Returns the time of all sessions with start-up and evaluation; None if any is unknown.

    Example:
        >>> from rein_seg.compare.state import wall_seconds
        >>> wall_seconds([{'seconds': 12.25}, {'seconds': 3.0}]), wall_seconds([{'seconds': None}])
        (15.2, None)
    """
    seconds = [session['seconds'] for session in sessions]
    return None if not seconds or None in seconds else round(sum(seconds), 1)


def deviations(made: Any, request: Any, *, now: str = 'asked for') -> Iterator[str]:
    """Yields a phrase for each place where two JSON values differ.

    Args:
        made: The stored value.
        request: The requested value.
        now: Word for ``request``.

    Example:
        >>> from rein_seg.compare.state import deviations
        >>> list(deviations({'peft': {'rank': 16}}, {'peft': {'rank': 8}}))
        ['peft.rank is 16 there, 8 asked for']
    """
    for key, old, new in differences(made, request):
        yield f'{key.removeprefix("config.")} is {old} there, {new} {now}'
