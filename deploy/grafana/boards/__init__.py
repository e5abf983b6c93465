"""The dashboards in Python: `make dashboards` writes them to `deploy/grafana/dashboards`."""
