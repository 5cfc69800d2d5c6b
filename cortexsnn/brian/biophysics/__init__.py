"""Versions of a network that are no exact twin any more: more biophysical, lesioned, disturbed; and what that does."""
