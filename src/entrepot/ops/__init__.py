"""The commands of an administrator on the host, each imported only when it is called."""
