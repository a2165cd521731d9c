"""The service over HTTP: wire types, request reading, answers, problem+json errors and routes."""
