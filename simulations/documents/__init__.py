"""A simulation as one document: its manifest, and its answer in Markdown."""
