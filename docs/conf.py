"""Sphinx: what the site is built from, and which tutorials have their tables here."""

import os
import re
from pathlib import Path

from sklearn.datasets import fetch_openml

import treeflows

project = "treeflows"
release = version = treeflows.__version__
project_copyright = "2026, the treeflows developers"

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx-mathjax-offline",  # formulas without a network
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "tutorials"]
templates_path = ["_templates"]
nitpicky = True
default_role = "py:obj"
nitpick_ignore_regex = [("py:obj", r"(sample|tables|Table)")]  # names in docstrings that stand for themselves

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_attributes_as_param_list = True
numpydoc_xref_param_type = False
autodoc_typehints = "none"  # the docstrings tell types and shapes

plot_basedir = str(Path(__file__).parent / "figures")
plot_formats = [("png", 120)]
plot_html_show_formats = False
plot_html_show_source_link = False

html_theme = "pydata_sphinx_theme"
html_title = "treeflows"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
pages = ["index", "models", "tables", "theory", "inside", "benchmarks", "likelihood", "scaling"]
html_sidebars = {page: [] for page in pages}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 5,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": {"**": ["page-toc"], "likelihood": []},
    "show_prev_next": False,
}

# Tutorials read their tables from the folder TREEFLOWS_DATA, or else from OpenML. One whose table is in neither place
# is shown, but not run.
TABLES = {
    "plot_1_first_tour.py": None,
    "plot_2_synthetic_rows.py": (["csv/adult.csv"], {"name": "adult", "version": 2}),
    "plot_3_anomalies.py": (["csv/mushroom.csv"], {"name": "mushroom", "version": 1}),
    "plot_4_missing_cells.py": (["csv/adult.csv"], {"name": "adult", "version": 2}),
    "plot_5_genotypes.py": (["snp805.npz"], None),
    "plot_6_destructors.py": None,
    "plot_7_tables_as_they_are.py": (["csv/adult.csv", "csv/diamonds.csv", "csv/bank.csv"], None),
    "plot_8_parties.py": (["csv/mushroom.csv", "csv/adult.csv"], {"name": "mushroom", "version": 1}),
    "plot_9_groups.py": (["csv/law_school.csv"], None),
    "plot_9b_years.py": (["csv/bank.csv"], None),
    "plot_9c_batches.py": (["snp805.npz"], None),
    "plot_9d_classes.py": None,
}


def what_is_missing(table):
    """Why a tutorial cannot run here, None if it can."""
    if table is None:
        return None
    files, on_openml = table
    folder = os.environ.get("TREEFLOWS_DATA")
    lacking = [file for file in files if not folder or not (Path(folder) / file).exists()]
    if not lacking:
        return None
    reason = "the environment variable TREEFLOWS_DATA is not set"
    if folder:
        reason = f"{lacking[0]} is not in the folder {folder}"
    if on_openml is None:
        return reason
    try:
        fetch_openml(**on_openml, as_frame=True, n_retries=1)
    except Exception as error:  # whatever keeps the table away, the site can do without
        return f"{reason}, and OpenML has not sent it ({type(error).__name__}: {error})"


runnable = []
for script, table in TABLES.items():
    reason = what_is_missing(table)
    if reason is None:
        runnable.append(re.escape(script))
    else:
        print(f"{script} is shown but not run: {reason}")

sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "auto_tutorials",
    "filename_pattern": "|".join(runnable),
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "generated/gallery",
    "doc_module": ("treeflows",),
    "reference_url": {"treeflows": None},
    "capture_repr": ("_repr_html_",),
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e9,
    "show_memory": False,
    "download_all_examples": False,
}


def setup(app):
    """Doctests want an empty line before the end of a block, and readers do not."""
    app.connect("source-read", lambda app, page, source: source.insert(0, source.pop().replace("\n\n```\n", "\n```\n")))
