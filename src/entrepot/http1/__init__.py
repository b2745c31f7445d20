"""An HTTP/1.1 server (RFC 9110, RFC 9112) for one ASGI application, inside the event loop that the application runs on.

What reads bytes that come from anybody is llhttp, the parser of Node.js, by way of httptools; what encrypts is OpenSSL,
by way of the standard library. This package is what lies between them and the application: connections, their limits
and times, the framing of answers, and files that go from the disk to the socket without passing through Python.
Why there is one: docs/decisions/0042-a-listener-on-the-event-loop.md.
"""
