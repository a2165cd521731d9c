"""Load as a ranking layer makes it, by locust: who asks, how often, what is right, and who was the bottleneck."""
