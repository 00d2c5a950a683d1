"""Counts from a population that is normal on another scale: logits or logarithms."""
