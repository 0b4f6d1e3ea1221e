"""The page: one HTML file with its script, its style, and what is known of a model."""

import base64
import hashlib
import html
import json
from importlib.resources import files
from string import Template

from .._version import __version__


def page(figures):
    """The page about a model.

    Parameters
    ----------
    figures : dict
        As `Explorer.figures` has them.

    Returns
    -------
    page : str
        HTML that needs no other file; nothing in it that comes from a table is markup or script.
    """
    index, script, style = (files(__package__).joinpath(name).read_text("utf-8") for name in ASSETS)
    # of all scripts this one alone may run
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    asks = "'self'" if figures["served"] else "'none'"
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
    policy += f"connect-src {asks}; base-uri 'none'; form-action 'none'"
    # "<" would end the element that it stands in; lone halves of characters cannot be written
    data = json.dumps(figures, allow_nan=False).replace("<", "\\u003c")
    parts = {"policy": policy, "title": html.escape(figures["title"][:200]), "version": html.escape(__version__)}
    title = parts["title"].encode("utf-8", "replace").decode()
    return Template(index).substitute(parts | {"title": title, "data": data, "script": script, "style": style})


ASSETS = ("index.html", "explorer.js", "style.css")
