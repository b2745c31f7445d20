"""The management API under `/api/v2.0`, in the conventions of Harbor: routes, validation and error bodies only."""
