"""Full-text search of published articles, on PostgreSQL and on SQLite.

Drafts are in neither index; the DDL is in migration 0006.
"""
