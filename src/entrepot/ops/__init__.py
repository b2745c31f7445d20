"""The commands of an administrator on the host: serve, settings show, migrate, doctor, support-bundle, version."""
