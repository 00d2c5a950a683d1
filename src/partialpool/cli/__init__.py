"""The console command: words in, calls to the library, text and exit codes out."""

from partialpool.cli.app import app, main

__all__ = ["app", "main"]
