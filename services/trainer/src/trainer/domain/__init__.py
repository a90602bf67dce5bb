"""What a training set is, when a candidate is better, and what becomes of it. Arrays and frames in, answers out.

NumPy and Polars are the arithmetic here; no client, no clock, no environment.
"""
