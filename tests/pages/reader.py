"""Reads a page: its elements, their attributes, the text of its scripts."""

from html.parser import HTMLParser

VOID = {'meta', 'link', 'br', 'img', 'hr', 'input'}
NASTY = '</script><script>alert(1)</script><!-- [[style]] \u2028 & "x"'


class Reader(HTMLParser):
    """Checks that elements nest; keeps attributes and the text of script and title elements."""

    def __init__(self):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] in ('script', 'title'):
            self.texts.append((self.open[-1], text))


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader
