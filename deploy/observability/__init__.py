"""Rules, alerts and dashboards as code; `python -m deploy.observability` writes what Prometheus and Grafana read."""
