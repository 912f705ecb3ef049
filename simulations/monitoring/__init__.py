"""Whether the site does its work: health, metrics, and the workers' signs of life."""
