"""Images made by the tests themselves: the same bytes in every run, and nothing fetched from a network."""
