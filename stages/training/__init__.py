"""What the stages that train have in common: pace, start, loop, saves."""
