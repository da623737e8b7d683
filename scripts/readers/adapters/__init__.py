"""One module for each reader, which is imported in its own venv only: `open_table(lake, name)` and `version()`."""
