"""Tokenizers: texts to ids of tokens.

K texts, T tokens.
"""

from __future__ import annotations

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rein_seg.checkpoint.tensors import shown
from rein_seg.errors import UserError, near_misses
from rein_seg.text.names import spoken


class Tokenizer(ABC):
    """Turns texts into ids. The end token has the largest id, and zeros stand behind it.

    Attributes:
        start: Id of the token before a text.
        end: Id of the token behind a text, the last of the vocabulary.
    """

    start: int
    end: int

    @property
    def vocabulary(self) -> int:
        """Number of ids."""
        return self.end + 1

    @abstractmethod
    def ids(self, text: str) -> list[int]:
        """Returns the ids of a text, without start and end.

        Raises:
            UserError: If the text has no tokens.
        """

    def read(self, word: str) -> str:
        """Returns a word for a class as texts hold it, after checking that it has tokens.

        Args:
            word: A name or synonym; underscores and capitals do not matter.

        Raises:
            UserError: If it has none, so that sentences would be without it.
        """
        text = spoken(word)
        if not self.ids(text):
            raise UserError(
                f'the name {_short(word)} has no token that the text tower knows: expected words; '
                'rename the class, or give it text.names'
            )
        return text

    def read_all(self, classes: Sequence[str], words: Sequence[Sequence[str]]) -> list[list[str]]:
        """Returns the words of K classes as texts hold them; see `read`.

        Args:
            classes: K names, for messages.
            words: Of each class the words that stand for it.

        Raises:
            UserError: If a word has no tokens, or two classes have the same tokens, so that no
                pixel could ever tell them apart.
        """
        texts = [[self.read(word) for word in one] for one in words]
        found: dict[frozenset[tuple[int, ...]], str] = {}
        for name, one in zip(classes, texts, strict=True):
            tokens = frozenset(tuple(self.ids(text)) for text in one)
            if tokens in found:
                raise UserError(
                    f'classes {found[tokens]!r} and {name!r} have the same words for the text '
                    f'tower ({", ".join(one)}): expected other words for each; rename a class, or '
                    'change text.names'
                )
            found[tokens] = name
        return texts

    def encode(self, texts: Sequence[str], length: int, *, truncate: bool = False) -> Tensor:
        """Returns (K, T) int64 ids.

        Args:
            texts: K texts.
            length: T.
            truncate: Cuts a text that is too long, and makes its last id the end token.

        Raises:
            UserError: If a text does not fit.
        """
        result = torch.zeros(len(texts), length, dtype=torch.int64, device='cpu')
        for row, text in zip(result, texts, strict=True):
            ids = [self.start, *self.ids(text), self.end]
            if len(ids) > length:
                if not truncate:
                    raise UserError(
                        f'text {_short(text)} has {len(ids)} tokens, start and end included, '
                        f'expected at most {length}: shorten the name, or set truncate=True to '
                        'cut it'
                    )
                ids = [*ids[: length - 1], self.end]
            row[: len(ids)] = torch.tensor(ids, device='cpu')
        return result


class CLIPTokenizer(Tokenizer):
    """CLIP's byte pairs, by mmseg's tokenizer and its vocabulary file; nothing is downloaded.

    Text is repaired, HTML codes are resolved, blanks collapsed, letters made small.

    Source: Radford et al., ICML 2021, Sec. 2.4.

    Example:
        >>> from rein_seg.text import CLIPTokenizer
        >>> CLIPTokenizer().encode(['traffic light'], 6)
        tensor([[49406,  3399,  1395, 49407,     0,     0]])
    """

    start, end = 49406, 49407

    def ids(self, text: str) -> list[int]:
        """Returns the ids of a text; an empty text has none.

        Raises:
            UserError: If the text holds the tokenizer's own words for start or end.
        """
        ids = _byte_pairs().encode(text)
        if self.start in ids or self.end in ids:
            raise UserError(
                f"text {_short(text)} holds a token of the tokenizer's own (start or end of a "
                'text), expected words; rename the class'
            )
        return ids


@functools.cache
def _byte_pairs() -> Any:
    # here: mmseg takes a second to import
    from mmseg.utils.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


class WordTokenizer(Tokenizer):
    """A list of words; a word outside it is an error. 0 is no word and stands behind the end.

    Letters and digits make words, everything else separates them; capitals do not count.

    Args:
        words: The words; word i has id i + 1.

    Raises:
        UserError: If a word is doubled, or is not a word as above.

    Example:
        >>> from rein_seg.text import WordTokenizer
        >>> tokenizer = WordTokenizer(['a', 'photo', 'road'])
        >>> tokenizer.encode(['A road.'], 5)
        tensor([[4, 1, 3, 5, 0]])
        >>> tokenizer.encode(['a rode'], 5)
        Traceback (most recent call last):
        rein_seg.errors.UserError: text 'a rode': the text tower does not know the word 'rode';
        did you mean 'road'?
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        odd = next((word for word in self.words if _split(word) != [word]), None)
        if odd is not None or len(set(self.words)) != len(self.words) or not self.words:
            raise UserError(
                f'words of a text tower: {odd or "the list"!r} is not as expected: small letters '
                'and digits, each word once; correct the list'
            )
        self.start, self.end = len(self.words) + 1, len(self.words) + 2
        self._ids = {word: index + 1 for index, word in enumerate(self.words)}

    def ids(self, text: str) -> list[int]:
        """Returns the ids of a text.

        Raises:
            UserError: If a word is not in the list; the message names it.
        """
        words = _split(text)
        unknown = next((word for word in words if word not in self._ids), None)
        if unknown is not None:
            few = f'it knows {len(self.words)} words: take some of them, or another tower'
            close = near_misses(unknown, self.words, otherwise=few)
            raise UserError(
                f'text {_short(text)}: the text tower does not know the word {_short(unknown)}; '
                f'{close}'
            )
        return [self._ids[word] for word in words]

    def as_tensor(self) -> Tensor:
        """Returns the words as (N,) bytes, for a file of weights; `from_tensor` reads them.

        Example:
            >>> from rein_seg.text import WordTokenizer
            >>> WordTokenizer.from_tensor(WordTokenizer(['road', 'sky']).as_tensor()).words
            ('road', 'sky')
        """
        return torch.tensor(list('\n'.join(self.words).encode()), dtype=torch.uint8)

    @classmethod
    def from_tensor(cls, tensor: Tensor) -> WordTokenizer:
        """Returns the tokenizer of words that a file holds.

        Args:
            tensor: From `as_tensor`.

        Raises:
            UserError: If it holds no words.
        """
        try:
            return cls(bytes(tensor.tolist()).decode().split('\n'))
        except (TypeError, ValueError) as error:  # numbers above 255, no UTF-8, no words
            raise UserError(
                f'words of a text tower cannot be read ({error}); get the file again'
            ) from error


def _short(text: str) -> str:
    """Returns a text for a message."""
    return repr(shown(text))


def _split(text: str) -> list[str]:
    return re.findall(r'[^\W_]+', text.lower())
