"""The console command: words in, calls to the library, text out."""

from partialpool.cli.app import app, main

__all__ = ["app", "main"]
