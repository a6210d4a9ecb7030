"""The monitor: pages and Prometheus metrics about drift, accuracy, releases and decisions."""
