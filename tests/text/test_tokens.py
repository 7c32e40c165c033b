"""Tokenizers; CLIP's ids are compared with the official ids in tests/golden."""

import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.text import CLIPTokenizer, WordTokenizer

NAMES = ['road', 'street', 'traffic', 'light']


@pytest.mark.parametrize('tokenizer', [CLIPTokenizer(), WordTokenizer(['a', 'red', 'road'])])
def test_a_text_that_is_too_long(tokenizer):
    with pytest.raises(UserError, match="'a red road' has 5 tokens.*at most 4.*truncate=True"):
        tokenizer.encode(['a red road'], 4)
    whole = tokenizer.encode(['a red road'], 6)[0].tolist()
    cut = tokenizer.encode(['a red road'], 4, truncate=True)[0].tolist()
    assert cut == [*whole[:3], tokenizer.end] and whole[4:] == [tokenizer.end, 0]
    assert max(whole) == tokenizer.end == tokenizer.vocabulary - 1


def test_words_of_the_tokenizer_s_own_are_no_names():
    with pytest.raises(UserError, match=r"'a <end_of_text>' holds a token of the tokenizer's own"):
        CLIPTokenizer().encode(['a <end_of_text>'], 9)


@pytest.mark.parametrize(
    ('tokenizer', 'word'), [(CLIPTokenizer(), '\x00'), (WordTokenizer(['road']), '---')]
)
def test_a_name_without_a_token(tokenizer, word):
    with pytest.raises(UserError, match='has no token that the text tower knows'):
        tokenizer.read(word)
    assert tokenizer.read('Road_') == 'road'


def test_words():
    tokenizer = WordTokenizer(['road', 'traffic', 'light', '42'])
    ids = tokenizer.encode(['Traffic-light, ROAD!', '42 road', ''], 6)
    assert ids.tolist() == [[5, 2, 3, 1, 6, 0], [5, 4, 1, 6, 0, 0], [5, 6, 0, 0, 0, 0]]
    with pytest.raises(UserError, match="know the word 'raod'; did you mean 'road'"):
        tokenizer.encode(['a raod'.removeprefix('a ')], 6)
    with pytest.raises(UserError, match="the word 'zebra'; it knows 4 words"):
        tokenizer.encode(['zebra'], 6)
    assert WordTokenizer.from_tensor(tokenizer.as_tensor()).words == tokenizer.words


@pytest.mark.parametrize('words', [[], ['road', 'road'], ['Road'], ['two words'], ['']])
def test_a_word_list_that_is_none(words):
    with pytest.raises(UserError, match='small letters and digits, each word once'):
        WordTokenizer(words)
    with pytest.raises(UserError, match='small letters|cannot be read'):
        WordTokenizer.from_tensor(torch.tensor(list('\n'.join(words).encode()), dtype=torch.uint8))


@pytest.mark.parametrize(
    ('classes', 'words'),
    [
        (['traffic-light', 'traffic light'], [['traffic-light'], ['traffic light']]),
        (['road', 'way'], [['road'], ['Road']]),
        (['road', 'way'], [['road', 'street'], ['street', 'road']]),
    ],
)
def test_classes_of_the_same_words(classes, words):
    with pytest.raises(UserError, match=f'{classes[0]!r} and {classes[1]!r} have the same words'):
        WordTokenizer(NAMES).read_all(classes, words)


def test_classes_may_share_a_word():
    words = [['road', 'street'], ['street']]
    assert WordTokenizer(NAMES).read_all(['way', 'street'], words) == words


def test_two_spellings_of_one_letter_read_alike():
    composed, parts = 'caf\u00e9', 'cafe\u0301'
    with pytest.raises(UserError, match='have the same words'):
        CLIPTokenizer().read_all([composed, parts], [[composed], [parts]])
