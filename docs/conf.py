"""How Sphinx builds the pages: notebooks are executed, the reference comes from the code."""

from __future__ import annotations

import warnings
from importlib.metadata import version as version_of

project = "partialpool"
author = "the partialpool developers"
project_copyright = "2026, the partialpool developers"
release = version_of("partialpool")

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
]
exclude_patterns = ["_build", "jupyter_execute"]
html_theme = "pydata_sphinx_theme"
html_title = "partialpool"
html_static_path: list[str] = []
html_show_sourcelink = False
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}

myst_enable_extensions = ["colon_fence", "deflist"]
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
suppress_warnings = ["mystnb.unknown_mime_type", "config.cache"]

warnings.filterwarnings("ignore", category=DeprecationWarning)
