"""Rows that were pulled, frozen under the hash of their content: in a folder, or at a URL."""
