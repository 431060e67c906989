"""`python -m nanogen`."""

from nanogen.cli import main

main()
