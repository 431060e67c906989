"""A model as people look at it: cards, tables, differences, pictures, curves."""
