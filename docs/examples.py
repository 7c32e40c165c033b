"""A griffe extension: mkdocstrings shows our `Example:` blocks as code."""

from __future__ import annotations

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Calls the block by the name that griffe parses."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Renames the block in the docstring of a loaded object."""
        if obj.docstring:
            obj.docstring.value = re.sub(
                r'^Example:$', 'Examples:', obj.docstring.value, flags=re.M
            )
