"""HTTP parts that all apps share: the realtime router, health, and errors as JSON.

Promise: every answer under an API path is JSON, errors included, in the shape `{"code": …, "error": …}`
(rest-api 2.7). May import the kernel; knows no app.
"""
