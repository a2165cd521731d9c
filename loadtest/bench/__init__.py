"""The service over HTTP, measured in one run beside what an expert and what a tutorial would write."""
