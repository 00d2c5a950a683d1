"""See what pooling does to the answer.

Complete, no and partial pooling of grouped data with Stan, and the comparison of the three.
The public names stand in `__init__.pyi`; each is imported when it is first used, so that the
console command starts at once, and documented where it is defined.
"""

from importlib.metadata import version

import lazy_loader

__version__ = version("partialpool")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
