"""Projects: who owns them, who their members are, and what holds for them."""
