"""The processes of `entrepot serve`: a small parent that keeps three children alive and ends them in order.

The parent (`parent`) owns what must outlive any child: the lock on the data directory, the listening sockets, the
drain flag. The children (`http_server`, `background_worker`, `ops_listener`) are started by exec, are told what to do
through an anonymous file in memory, report through a pipe, and die with the parent.
"""
