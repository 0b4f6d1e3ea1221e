"""Errors as data: what was wrong, where, and which parameters mend it, for each surface to spell in its own way."""


class DescribedError(ValueError):
    """What was wrong, and what helps.

    Parameters
    ----------
    message : str
        What was wrong, in a sentence without full stop.
    remedies : sequence of (str, object), default=()
        Parameters of fit that mend it, any of them, each with a value to give it, or None where that is the user's.
    """

    def __init__(self, message, remedies=()):
        self.message = message
        self.remedies = tuple(remedies)
        super().__init__(self.text(in_python))  # args is one text, so that the error survives pickle

    def text(self, spell):
        """The whole sentence.

        Parameters
        ----------
        spell : callable
            ``spell(parameter, value) -> str`` writes a remedy as the reader would give it.

        Returns
        -------
        text : str
        """
        if not self.remedies:
            return self.message
        return f"{self.message}; fit with {' or '.join(spell(*remedy) for remedy in self.remedies)}"


class TableError(DescribedError):
    """A table holds what it must not.

    Attributes
    ----------
    message : str
    remedies : tuple of (str, object)
    column : str, int or None
        Name of the column, or its number where columns have no names; None if it is no single column.
    row : int or None
    value : object
    """

    def __init__(self, message, remedies=(), *, column=None, row=None, value=None):
        super().__init__(message, remedies)
        self.column, self.row, self.value = column, row, value


class ParameterError(DescribedError):
    """A parameter is out of range.

    Attributes
    ----------
    message : str
    remedies : tuple of (str, object)
    parameter : str or None
    value : object
    """

    def __init__(self, message, remedies=(), *, parameter=None, value=None):
        super().__init__(message, remedies)
        self.parameter, self.value = parameter, value


def in_python(parameter, value):
    """A parameter as a call gives it."""
    return f"{parameter}={'' if value is None else repr(value)}"
