"""One HTTP client for all tests: httpx.get and the like read every certificate anew, which takes them 30 ms."""

import httpx

# Connections are not kept: servers come and go, and one that ends shall not have to wait for us.
http = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0))
