"""The endpoints of the management API, one module for each of Harbor's resources."""
