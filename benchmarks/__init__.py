"""What the product must reach, measured side by side with peers in one run: `python -m benchmarks [NAME ...]`."""
