"""A small library around torch: text to tokens to batches to a trained model to tokens again.

Knows nothing of the compiler, of runs and their stages, or of the web page.
"""
