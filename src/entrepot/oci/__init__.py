"""The OCI specifications as pure values: nothing here knows of a network, a disk or a database."""
