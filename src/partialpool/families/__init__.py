"""Families: what a row of data says of its group's parameter theta.

In: checked rows. Out: the statistics that suffice, default priors, starting values, the algebra of
theta given the population, classical companions, and the exact posterior where there is one. One
file a family; `exact` integrates.
"""
