"""Articles and keywords as files: CSV, JSON, and a folder of Markdown files."""
