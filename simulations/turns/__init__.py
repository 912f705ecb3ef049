"""A turn with the provider: what is sent, which tools it may call, what its answers mean."""
