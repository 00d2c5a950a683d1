"""Tables: fits and their data in, tidy frames out.

One estimate a row, with its Monte Carlo error: estimates, shrinkage, contrasts and ranks,
predictions, scores, checks, the comparison with exact posteriors, and all groups of many.
"""
