"""Observations to belief: `belief.belief(view)`, `predict.predict(view, X)`; nothing heavy is imported by the room itself."""
