"""Models that are compared by how well they predict, and mixed by it."""
