"""The first set-up by questions: each has an answer that Enter takes, and nothing is deployed."""
