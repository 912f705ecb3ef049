"""Questions that ask themselves: in the admin, over the API, on their pages, and on time."""
