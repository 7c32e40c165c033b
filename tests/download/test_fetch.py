"""A file is downloaded whole, checked, once; or an error says what to do."""

import base64
import hashlib
import os
import signal
import threading
import time
import urllib.request

import pytest

from rein_seg.cli.exits import Exit, run
from rein_seg.download import NotThere, cache_folder, fetch
from rein_seg.download.cache import folder_for
from rein_seg.download.digests import stated_digests
from rein_seg.download.web import Denied, Redirects
from rein_seg.errors import UserError
from tests.download.server import Answer

BODY = bytes(range(256)) * 9000  # 2.3 MB: more than two pieces
SHA256 = hashlib.sha256(BODY).hexdigest()
NAMED = f'vit-{SHA256[:8]}.pth'


def get(server, path='/vit.pth', **options):
    return fetch(f'{server.url}{path}', first_wait=0.01, **options)


def files():
    return sorted(p.name for p in cache_folder().rglob('*') if p.is_file())


def test_a_file_is_downloaded_once_and_kept_by_its_address(server, tmp_path):
    server.answers['/a/vit.pth'] = Answer(BODY)
    path = get(server, '/a/vit.pth')
    assert path.read_bytes() == BODY
    assert path.relative_to(cache_folder()).parts[0::3] == ('weights', 'vit.pth')
    assert get(server, '/a/vit.pth') == path
    assert len(server.asked) == 1
    assert files() == ['vit.pth']
    own = get(server, '/a/vit.pth', folder=tmp_path / 'mine', name='my vit.pth')
    assert own == tmp_path / 'mine/my vit.pth' and own.read_bytes() == BODY
    server.answers['/a/vit.pth?v=2'] = Answer(BODY[:5])
    assert get(server, '/a/vit.pth?v=2').read_bytes() == BODY[:5]


def b64(kind):
    return base64.b64encode(hashlib.new(kind, BODY).digest()).decode()


STATED = {
    'name': ({}, f'/{NAMED}'),
    'address': ({}, f'/{SHA256}/vit.pt'),
    'Content-MD5': ({'Content-MD5': b64('md5')}, '/vit.pth'),
    'x-ms-blob-content-md5': ({'x-ms-blob-content-md5': b64('md5')}, '/vit.pth'),
    'x-goog-hash': ({'x-goog-hash': f'crc32c=AAAAAA==,md5={b64("md5")}'}, '/vit.pth'),
    'x-amz-meta-md5': ({'x-amz-meta-md5': hashlib.md5(BODY).hexdigest()}, '/vit.pth'),
    'x-amz-checksum-sha256': ({'x-amz-checksum-sha256': b64('sha256')}, '/vit.pth'),
    'repr-digest': ({'Repr-Digest': f'sha-256=:{b64("sha256")}:'}, '/vit.pth'),
}


@pytest.mark.parametrize('stated', STATED)
def test_a_stated_digest_is_checked(server, stated):
    headers, path = STATED[stated]
    server.answers[path] = Answer(BODY, headers)
    assert get(server, path).read_bytes() == BODY
    (cache_folder() / 'weights').rename(cache_folder() / 'first')
    server.answers[path] = Answer(BODY[:-1] + b'x', headers)
    with pytest.raises(UserError, match=r'it has (SHA-256|MD5) .*, expected .*it was removed'):
        get(server, path)
    assert not list((cache_folder() / 'weights').rglob('.*.part'))
    assert not list((cache_folder() / 'weights').rglob('vit*'))


def test_a_file_without_a_digest_is_said_to_have_none(server, logged):
    server.answers['/vit.pth'] = Answer(BODY, {'ETag': '"0123"'})
    get(server)
    assert 'no digest was stated, so only its length was checked' in logged[-1]


@pytest.mark.parametrize('ranges', [True, False])
def test_a_cut_download_goes_on(server, ranges):
    answer = Answer(BODY, {'ETag': '"a"'}, cut=[1_500_000, 800_000, None], ranges=ranges)
    server.answers[f'/{NAMED}'] = answer
    assert get(server, f'/{NAMED}').read_bytes() == BODY
    begins = [headers.get('Range') for _, headers in server.asked]
    assert begins[:2] == [None, 'bytes=1500000-']
    assert (begins[2] == 'bytes=2300000-') is ranges


def test_a_later_run_goes_on_and_a_changed_file_starts_anew(server):
    server.answers['/vit.pth'] = Answer(BODY, {'ETag': '"a"'}, cut=[1_200_000, 0])
    with pytest.raises(UserError, match='ended after 1200000 of 2304000 bytes; what came'):
        get(server)
    assert files() == ['.vit.pth.lock', '.vit.pth.part', '.vit.pth.part.etag']
    server.asked.clear()
    server.answers['/vit.pth'] = Answer(BODY[::-1], {'ETag': '"b"'})
    assert get(server).read_bytes() == BODY[::-1]
    assert server.asked[0][1]['Range'] == 'bytes=1200000-'
    assert files() == ['vit.pth']


def test_a_part_of_another_file_is_found_out_by_the_digest(server):
    server.answers[f'/{NAMED}'] = Answer(BODY[::-1], {'ETag': '"a"'}, cut=[1_200_000, 0])
    with pytest.raises(UserError):
        get(server, f'/{NAMED}')
    server.answers[f'/{NAMED}'] = Answer(BODY, {'ETag': '"a"'})
    assert get(server, f'/{NAMED}').read_bytes() == BODY


def test_a_part_longer_than_the_file_starts_anew(server):
    server.answers['/vit.pth'] = Answer(BODY, {'ETag': '"a"'}, cut=[1_200_000, 0])
    with pytest.raises(UserError):
        get(server)
    server.answers['/vit.pth'] = Answer(BODY[:9], {'ETag': '"a"'})
    assert get(server).read_bytes() == BODY[:9]


def test_a_weak_tag_says_nothing_of_bytes(server):
    server.answers['/vit.pth'] = Answer(BODY, {'ETag': 'W/"a"'}, cut=[1_200_000, None])
    assert get(server).read_bytes() == BODY
    assert 'Range' not in server.asked[1][1]


def test_errors_of_the_server_are_tried_again(server, logged):
    server.answers['/vit.pth'] = Answer(BODY, status=[500, 503, 429, 200], text=b'later')
    assert get(server).read_bytes() == BODY
    assert len(server.asked) == 4
    assert 'answers 503 Service Unavailable; tries again' in ''.join(logged)
    server.answers['/b.pth'] = Answer(BODY, status=[502])
    with pytest.raises(UserError, match=r'answers 502 Bad Gateway.*and put it at .*b\.pth'):
        get(server, '/b.pth')


def test_a_missing_file_names_the_address(server):
    with pytest.raises(NotThere, match=r'http://127\S*/no\.pth: the server answers 404'):
        get(server, '/no.pth')
    assert len(server.asked) == 1
    server.answers['/secret.pth'] = Answer(status=[403])
    with pytest.raises(UserError, match='answers 403 Forbidden; do this'):
        get(server, '/secret.pth', advice='do this')


@pytest.mark.parametrize(
    ('answer', 'message'),
    [
        (Answer(b'log in', {'Content-Type': 'text/html; charset=utf-8'}), 'a web page'),
        (Answer(b'\n<!DOCTYPE html><title>Log in'), 'a web page'),
        (Answer(BODY, {'Content-Encoding': 'gzip'}), r'compressed \(gzip\)'),
        (Answer(status=[302], headers={'Location': 'file:///etc/passwd'}), 'file:///etc/passwd'),
        (Answer(status=[302], headers={'Location': 'ftp://127.0.0.1/x'}), 'is refused'),
        (Answer(status=[302], headers={'Location': '/vit.pth'}), 'infinite loop'),
    ],
    ids=['html', 'html_body', 'gzip', 'to_file', 'to_ftp', 'loop'],
)
def test_no_file_is_refused_and_not_kept(server, answer, message):
    server.answers['/vit.pth'] = answer
    with pytest.raises(UserError, match=message) as raised:
        get(server)
    assert '\n' not in str(raised.value)
    assert files() == ['.vit.pth.lock']


def test_redirects_are_followed_but_no_token_goes_along(server):
    to = f'{server.url.replace("127.0.0.1", "localhost")}/there'
    server.answers['/vit.pth'] = Answer(status=[308], headers={'Location': '/moved.pth'})
    server.answers['/moved.pth'] = Answer(status=[302], headers={'Location': to})
    server.answers['/there'] = Answer(BODY)
    assert get(server, token='mine').read_bytes() == BODY
    sent = [headers.get('Authorization') for _, headers in server.asked]
    assert sent == ['Bearer mine', 'Bearer mine', None]


def test_an_encrypted_address_redirects_to_no_open_one():
    asked = urllib.request.Request('https://a/x')
    with pytest.raises(Denied, match="redirects to 'http://a/y', which is refused"):
        Redirects(None).redirect_request(asked, None, 302, 'Found', {}, 'http://a/y')
    new = Redirects('mine').redirect_request(asked, None, 302, 'Found', {}, 'https://a/y')
    assert new.get_header('Authorization') == 'Bearer mine'
    new = Redirects('mine').redirect_request(asked, None, 302, 'Found', {}, 'https://a:8443/y')
    assert not new.has_header('Authorization')


def test_without_a_network_one_line_says_what_to_do(online):
    with pytest.raises(UserError, match=r"'vit\.pth' cannot .* refused; download it .*vit\.pth'"):
        fetch('http://127.0.0.1:9/vit.pth')
    with pytest.raises(UserError, match='put it into a/b'):
        fetch('http://127.0.0.1:9/vit.pth', advice='put it into a/b')


@pytest.mark.parametrize('name', ['REIN_SEG_OFFLINE', 'HF_HUB_OFFLINE'])
def test_offline_asks_no_server(server, monkeypatch, name):
    server.answers['/vit.pth'] = Answer(BODY)
    monkeypatch.setenv(name, '1')
    with pytest.raises(UserError, match=f'{name}=1 forbids the network; download'):
        get(server)
    assert server.asked == []
    monkeypatch.setenv(name, '0')
    path = get(server)
    monkeypatch.setenv(name, '1')
    assert get(server) == path


def test_processes_at_once_download_once(server):
    server.answers['/vit.pth'] = Answer(BODY, slow=0.2)
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(get(server))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 1 and len(paths) == 4
    assert len(server.asked) == 1
    assert files() == ['vit.pth']


def in_process(server, **options):
    """Starts a process that downloads; returns its id."""
    process = os.fork()
    if process:
        return process
    try:
        get(server, **options)
        os._exit(0)
    finally:
        os._exit(1)


def test_processes_wait_for_the_one_that_downloads(server):
    server.answers['/vit.pth'] = Answer(BODY, slow=0.3)
    ended = [os.waitpid(process, 0)[1] for process in [in_process(server) for _ in range(3)]]
    assert ended == [0, 0, 0]
    assert len(server.asked) == 1
    assert get(server).read_bytes() == BODY


def test_a_killed_download_goes_on(server):
    server.answers['/vit.pth'] = Answer(BODY, {'ETag': '"a"'}, cut=[2_100_000, None], stall=20)
    process = in_process(server)
    while not (parts := list(cache_folder().rglob('.vit.pth.part'))) or not parts[0].stat().st_size:
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    assert not list(cache_folder().rglob('vit.pth'))
    server.answers['/vit.pth'].stall = 0
    assert get(server).read_bytes() == BODY
    assert int(server.asked[1][1]['Range'].strip('bytes=-')) > 0


def test_a_silent_server_is_given_up(server):
    server.answers['/vit.pth'] = Answer(BODY, {'ETag': '"a"'}, cut=[1_000_000, None], stall=0.6)
    assert get(server, timeout=0.2).read_bytes() == BODY
    server.answers['/b.pth'] = Answer(BODY, slow=0.6)
    with pytest.raises(UserError, match='timed out; download it'):
        get(server, '/b.pth', timeout=0.05)


def test_a_full_disk_is_an_error_of_output_and_leaves_nothing(server, capsys):
    server.answers['/vit.pth'] = Answer(BODY, {'Content-Length': str(10**16)})
    assert run(lambda: get(server)) == Exit.IO_ERROR
    assert "/vit.pth': No space left on device (10000000000 MB" in capsys.readouterr().err
    assert files() == ['.vit.pth.lock']


@pytest.mark.skipif(os.getuid() == 0, reason='root may write anywhere')
def test_a_folder_that_cannot_be_written(server, tmp_path):
    tmp_path.joinpath('closed').mkdir(mode=0o500)
    with pytest.raises(PermissionError, match='closed'):
        get(server, folder=tmp_path / 'closed/in')


@pytest.mark.parametrize(
    'url',
    ['file:///etc/passwd', 'ftp://a/b.pth', 'vit.pth', 'http:///b.pth', 'https://a:b@c/d.pth',
     'https://a/b\n.pth', 'https://[/b.pth'],
)  # fmt: skip
def test_only_web_addresses_are_asked(online, url):
    with pytest.raises(UserError, match='expected https://HOST/FILE'):
        fetch(url)


@pytest.mark.parametrize('path', ['/../../b', '/%2e%2e/%2e%2e/b', '/a%2f..%2f..%2f..%2fb/c', '//b'])
def test_folders_stay_in_the_cache(online, path):
    folder = folder_for(f'https://example.org{path}')
    assert '..' not in folder.parts
    assert folder.is_relative_to(online / 'weights/example.org')


@pytest.mark.parametrize('name', ['', '..', '.hidden', '..%2f', 'a%00b', 'a%5cb'])
def test_names_stay_in_the_folder(online, name):
    with pytest.raises(UserError, match='of a file to download'):
        fetch(f'http://127.0.0.1:9/x/{name}')


@pytest.mark.parametrize(
    ('name', 'is_stated'),
    [
        ('resnet50-0676ba61.pth', True),
        ('model-20240101.pth', False),
        ('model-10000000.pth', False),
    ],
)
def test_digits_alone_are_no_digest(name, is_stated):
    assert bool(stated_digests(f'https://example.org/{name}', name, [], hub=False)) == is_stated


def test_a_file_that_came_unencrypted_has_a_place_of_its_own():
    assert folder_for('http://example.org/a.pth') != folder_for('https://example.org/a.pth')
