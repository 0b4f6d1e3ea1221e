"""What somebody meant who named what is not there; imports nothing at first, for the command line to answer at once."""


def nearest(named, known):
    """What is near to a name that is not there, to print.

    Parameters
    ----------
    named : object
        Only a text is near to others.
    known : iterable
        What is there.

    Returns
    -------
    told : str
        " (did you mean 'sex'?)", or nothing.
    """
    from difflib import get_close_matches

    written = {each.casefold(): each for each in known if isinstance(each, str)}
    near = get_close_matches(named.casefold(), written, 1) if isinstance(named, str) else []
    return f" (did you mean {str(written[near[0]])!r}?)" if near else ""
