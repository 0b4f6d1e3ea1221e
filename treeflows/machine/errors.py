"""Errors as data: what was wrong, where, and which parameters mend it, for each surface to spell in its own way."""

from sklearn.utils.validation import check_scalar

MOST_NAMED = 8  # columns in one message


class DescribedError(ValueError):
    """What was wrong, and what helps.

    Parameters
    ----------
    message : str
        What was wrong, in a sentence without full stop.
    remedies : sequence of (str, object), default=()
        Parameters of fit that mend it, any of them, each with a value to give it, or None where that is the user's.
    choices : sequence of (str, object), default=()
        The same of what was asked.
    """

    def __init__(self, message, remedies=(), choices=()):
        self.message = message
        self.remedies, self.choices = tuple(remedies), tuple(choices)
        super().__init__(self.text(in_python))  # args is one text, so that the error survives pickle

    def text(self, spell):
        """The whole sentence.

        Parameters
        ----------
        spell : callable
            ``spell(parameter, value) -> str`` writes a remedy as the reader would give it, "" if the reader cannot.

        Returns
        -------
        text : str
        """
        told = self.message
        for verb, known in (("ask", self.choices), ("fit", self.remedies)):
            spelled = " or ".join(filter(None, (spell(*each) for each in known)))
            told += f"; {verb} with {spelled}" if spelled else ""
        return told


class TableError(DescribedError):
    """A table holds what it must not.

    Attributes
    ----------
    message : str
    remedies, choices : tuple of (str, object)
    column : str, int or None
        Name of the column, or its number where columns have no names; None if it is no single column.
    row : int or None
    value : object
    """

    def __init__(self, message, remedies=(), *, choices=(), column=None, row=None, value=None):
        super().__init__(message, remedies, choices)
        self.column, self.row, self.value = column, row, value

    def at_row(self, row):
        """The same error of a table of which this one's was a part, where its row has another number.

        Parameters
        ----------
        row : int

        Returns
        -------
        error : TableError
        """
        message = self.message.replace(f" at row {self.row}", f" at row {row}", 1)
        where = {"column": self.column, "row": row, "value": self.value}
        return TableError(message, self.remedies, choices=self.choices, **where)


class ParameterError(DescribedError):
    """A parameter is out of range; the message starts with its name.

    Attributes
    ----------
    message : str
    remedies : tuple of (str, object)
    parameter : str or None
    value : object
    """

    def __init__(self, message, remedies=(), *, parameter=None, value=None):
        self.parameter, self.value = parameter, value
        super().__init__(message, remedies)

    def text(self, spell):
        """The whole sentence, with the parameter as the reader knows it; else as `DescribedError.text` describes it."""
        told, name = super().text(spell), self.parameter
        if name is None or not told.startswith(name):
            return told
        return f"{spell(name, None).removesuffix('=') or name}{told.removeprefix(name)}"


class PartError(DescribedError):
    """A part of a fit was not to be had from the workers, or from the folder that keeps parts.

    Parameters
    ----------
    problem : str
        What was wrong, in a sentence without full stop.
    columns : sequence of int or str, default=()
        Whose part it is: numbers of columns, or their names.
    kept : str, default=""
        What is not lost.

    Attributes
    ----------
    columns : tuple of int or str
    """

    def __init__(self, problem, columns=(), kept=""):
        self.problem, self.columns, self.kept = problem, tuple(columns), kept
        few = ", ".join(map(repr, self.columns[:MOST_NAMED])) + ", …" * (len(self.columns) > MOST_NAMED)
        of = f"; it is a part of column{'s' * (len(self.columns) > 1)} {few}" if self.columns else ""
        super().__init__(f"{problem}{of}{kept and '; '}{kept}")

    def __reduce__(self):
        return type(self), (self.problem, self.columns, self.kept)


def in_python(parameter, value):
    """A parameter as a call gives it."""
    return f"{parameter}={'' if value is None else repr(value)}"


def check_number(value, name, kind, **limits):
    """Raise unless a parameter is a number of a kind within limits, as scikit-learn's ``check_scalar`` has them.

    Raises
    ------
    TypeError
        If it is of another kind.
    ParameterError
        If it is out of range.
    """
    try:
        check_scalar(value, name, kind, **limits)
    except ValueError as error:
        raise ParameterError(str(error), parameter=name, value=value) from None
