"""A typed spec becomes a graph: names resolved, branches chosen, calls made units, layers climbed."""
