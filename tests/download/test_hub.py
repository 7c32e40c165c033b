"""Files of the Hugging Face hub, by id."""

import hashlib

import pytest

from rein_seg.download import HubId, NotThere, cache_folder, fetch_address, parse_hub_id
from rein_seg.errors import UserError
from tests.download.server import Answer

BODY = b'tensors' * 999
SHA256 = hashlib.sha256(BODY).hexdigest()
NAMES = ('model.safetensors', 'pytorch_model.bin')


def get(text, names=NAMES):
    return fetch_address(text, names, first_wait=0.01)


def lfs(server, path, body=BODY, tag=SHA256):
    """Puts a file behind a redirect, as the hub does with large files."""
    headers = {'Location': f'{server.url}/cdn', 'X-Linked-Etag': f'"{tag}"', 'X-Repo-Commit': 'c'}
    server.answers[path] = Answer(status=[302], headers=headers)
    server.answers['/cdn'] = Answer(body, {'ETag': f'"{"ab" * 32}"'})


def test_a_file_of_the_hub_is_checked_by_its_etag(server):
    lfs(server, '/org/vit/resolve/main/a/b.safetensors')
    path = get('hf:org/vit/a/b.safetensors')
    assert path.read_bytes() == BODY
    assert path.parts[-6:] == ('org', 'vit', 'resolve', 'main', 'a', 'b.safetensors')
    assert path.is_relative_to(cache_folder())
    lfs(server, '/org/vit/resolve/v2/b.safetensors', body=BODY[1:])
    with pytest.raises(UserError, match=f'SHA-256 .*expected {SHA256[:16]}..., as the server'):
        get('hf://org/vit@v2/b.safetensors')


def test_small_files_have_the_digest_of_git(server):
    tag = hashlib.sha1(b'blob 2\0{}').hexdigest()
    server.answers['/org/vit/resolve/main/a.json'] = Answer(b'{}', {'ETag': f'"{tag}"'})
    assert get('hf:org/vit/a.json').read_bytes() == b'{}'
    server.answers['/org/vit/resolve/main/b.json'] = Answer(b'[]', {'ETag': f'"{tag}"'})
    with pytest.raises(UserError, match="it has git's SHA-1"):
        get('hf:org/vit/b.json')


def test_a_repository_gives_the_first_file_that_it_has(server, monkeypatch):
    lfs(server, '/org/vit/resolve/main/pytorch_model.bin')
    path = get('hf:org/vit')
    assert path.name == 'pytorch_model.bin'
    assert [path for path, _ in server.asked][0] == '/org/vit/resolve/main/model.safetensors'
    monkeypatch.setenv('REIN_SEG_OFFLINE', '1')
    assert get('hf:org/vit') == path
    with pytest.raises(UserError, match='model.safetensors.*REIN_SEG_OFFLINE=1 forbids'):
        get('hf:org/other')


def test_a_repository_without_them(server):
    with pytest.raises(NotThere, match=r'has none of model.safetensors, .*name a file of it'):
        get('hf:org/vit')


def test_the_cache_of_the_hub_serves_too(online, tmp_path, monkeypatch):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path / 'hub'))
    monkeypatch.delenv('HF_ENDPOINT', raising=False)
    monkeypatch.setenv('REIN_SEG_OFFLINE', '1')
    repo = tmp_path / 'hub/models--org--vit'
    for path, text in (('refs/main', 'abc'), ('snapshots/abc/pytorch_model.bin', 'tensors')):
        (repo / path).parent.mkdir(parents=True)
        (repo / path).write_text(text)
    assert get('hf:org/vit') == repo / 'snapshots/abc/pytorch_model.bin'


def test_a_page_of_the_hub_serves_as_its_file(server):
    lfs(server, '/org/vit/resolve/main/b.pt')
    assert get(f'{server.url}/org/vit/blob/main/b.pt').read_bytes() == BODY


@pytest.mark.parametrize(
    ('status', 'headers', 'message'),
    [
        (401, {'X-Error-Code': 'GatedRepo'}, 'is gated .*accept the terms at {url}/org/vit, then'),
        (403, {'X-Error-Message': 'Access is gated'}, 'is gated .*hf auth login, or set HF_TOKEN'),
        (403, {}, 'needs access'),
        (401, {'X-Error-Code': 'RepoNotFound'}, 'no such repository, or it is private'),
        (404, {'X-Error-Code': 'RepoNotFound'}, 'no such repository, or it is private'),
        (404, {'X-Error-Code': 'RevisionNotFound'}, 'no such revision of it'),
    ],
)
def test_access_is_explained(server, status, headers, message):
    path = '/org/vit/resolve/main/model.safetensors'
    server.answers[path] = Answer(status=[status], headers=headers)
    with pytest.raises(UserError, match=message.format(url=server.url)):
        get('hf:org/vit')
    assert len(server.asked) == 1


def test_the_token_of_the_user_is_sent_to_the_hub_only(server, monkeypatch):
    monkeypatch.setenv('HF_TOKEN', 'hf_mine')
    lfs(server, '/org/vit/resolve/main/b.pt')
    server.answers['/org/vit/resolve/main/b.pt'].headers['Location'] = (
        f'{server.url.replace("127.0.0.1", "localhost")}/cdn'
    )
    get('hf:org/vit/b.pt')
    assert [headers.get('Authorization') for _, headers in server.asked] == ['Bearer hf_mine', None]
    server.answers['/else.pt'] = Answer(BODY)
    get(f'{server.url}/else.pt')
    assert 'Authorization' not in server.asked[-1][1]


@pytest.mark.parametrize(
    'text',
    ['hf:', 'hf:vit', 'hf:../vit', 'hf:org/..', 'hf:org/vit/../../x', 'hf:org/vit/a//b',
     'hf:org/vit/a\\b', 'hf:org/vit@../x', 'hf:org/vit@a/b\n', 'hf:/etc/passwd', 'hf:org/vit/',
     'hf:org/vit/a?b', 'hf:org/vit/a#b', 'hf:org/vit/%2e%2e/b', 'hf:o..rg/vit'],
)  # fmt: skip
def test_ids_that_are_none(text):
    with pytest.raises(UserError, match='expected hf:ORG/REPO'):
        parse_hub_id(text)


def test_texts_that_are_no_ids():
    assert parse_hub_id('https://example.org/a/b/blob/main/c.pth') is None
    assert parse_hub_id('checkpoints/a.pth') is None
    page = 'https://huggingface.co/org/vit/resolve/v1/a/b.pt?download=true'
    assert parse_hub_id(page) == HubId('org/vit', 'a/b.pt', 'v1')
