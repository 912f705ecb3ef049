"""Who answers: assistants in the admin, checked with the provider."""
