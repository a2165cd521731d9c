"""Offline: read click logs, train teachers, distil them into students, fine-tune, evaluate."""
