"""Models as folders: written, found, checked, imported from elsewhere, and what they are made of."""
