"""The verification (scrub): compares bytes, rows, references and journal, and sets aside or heals what is damaged."""
