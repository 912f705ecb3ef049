"""Who asked how much, with what success and how quickly: the page, its charts and its files."""
