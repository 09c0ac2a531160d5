"""What can be varied: the kinds of parameters, their settings and how these become numbers."""
