"""Building blocks, one equation per file. Layers know no models.

Shape suffixes: B rows, F fields, D embedding size, H feature maps, L layers, V ids.
"""
