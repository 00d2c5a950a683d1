"""Tables: fits and data in, tidy frames out, one estimate a row, each with its Monte Carlo error."""
