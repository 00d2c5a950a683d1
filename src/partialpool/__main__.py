"""`python -m partialpool` is the console command."""

from partialpool.cli import main

if __name__ == "__main__":
    main()
