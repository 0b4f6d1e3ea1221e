"""How a file of text is written."""

import codecs
from dataclasses import dataclass

from ..machine.errors import ParameterError


@dataclass(frozen=True)
class TextFormat:
    """How a file of text is written, where that is not as usual.

    Attributes
    ----------
    na : tuple of str
        What marks a missing cell, beside nothing.
    sep : str or None
        The character between fields; None for commas, or tabs if the file's name ends so.
    encoding : str
    """

    na: tuple = ()
    sep: str | None = None
    encoding: str = "utf-8"

    def __post_init__(self):
        if self.sep is not None and (not isinstance(self.sep, str) or len(self.sep) != 1 or self.sep in '"\r\n'):
            raise ParameterError(f"sep must be one character, got {self.sep!r}", parameter="sep", value=self.sep)
        try:
            codecs.lookup(self.encoding)
        except (LookupError, TypeError):
            told = f"encoding {self.encoding!r} is not known; there are utf-8, utf-16, latin-1, cp1252 and others"
            raise ParameterError(told, parameter="encoding", value=self.encoding) from None
