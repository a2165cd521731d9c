"""The dashboards, as code: `python -m boards`, in docker/grafana, writes the JSON that Grafana is provisioned with."""
