"""Search: train the points of a small grid over any keys of a configuration, and choose by validation alone."""
