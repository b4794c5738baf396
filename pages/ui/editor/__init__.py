"""The drawing surface, a component of our own, will live here (DESIGN 7); nothing else may know the browser side."""
