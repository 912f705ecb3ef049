"""Which rows are worked on next, and when: admission, claims and the pace of polls."""
