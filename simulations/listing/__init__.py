"""Lists of simulations, for pages and API: what is asked for, page by page, line by line."""
