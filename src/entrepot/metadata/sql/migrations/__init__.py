"""The schema, as numbered templates that both dialects are rendered from; applied ones are never edited."""
