"""Frames -> plotnine figures, and nothing else.

The names stand in `__init__.pyi`; each is imported when it is first used, so that those who only
name a figure do not wait for what draws it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
