"""Studies: questions that take more than one set of fits.

Other priors, other forms of the hierarchical model, edits of a program, draws from the prior alone,
simulated data with a known truth, many data sets at once. In: data. Out: frames and sentences.
"""
