"""HTTP: routes, bodies, errors and the OpenAPI page."""
