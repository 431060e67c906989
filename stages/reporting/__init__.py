"""The parts of a report: sections, tables, curves, and the page that they make."""
