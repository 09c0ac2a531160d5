"""How many experiments it takes: ours beside chance and five peers, on open tables whose answers are all known."""
