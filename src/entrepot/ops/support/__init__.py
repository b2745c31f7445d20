"""What a support bundle is made of: parts that gather facts, and the redaction that everything passes through."""
