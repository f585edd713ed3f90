"""HTTP and websocket: /api/v1 in JSON, `/acpi`, health, metrics. Thin: a route asks the marshal or reads."""
