"""Rows of candidates in one spelling: their kinds, their hash, their Parquet file, and frames of them."""
