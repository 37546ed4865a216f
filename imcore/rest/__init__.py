"""HTTP: what the APIs of all apps share, and the small endpoints that are no app's.

Promise: every answer under an API path is JSON, errors included, in the shape `{"code": …, "error": …}`
(rest-api 2.7). May import the kernel; knows no app.

    middleware       every path and every answer      bounds       the largest body
    endpoints        one function per endpoint        rates        how often
    authentication   who asks                         openapi      the document
    bodies, parameters  what is asked                 upstream     what is not served here
    answers, exceptions  what is answered             router, basics, urls  endpoints of no app

Add an endpoint: docs/adding.md.
"""
