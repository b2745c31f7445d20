"""What operators see of the inside: the log, the metrics, and the id that ties a request's lines together."""
