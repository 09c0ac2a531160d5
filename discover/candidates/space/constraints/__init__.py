"""What must hold: conditions on a point, rules of a batch, and the text that says them."""
