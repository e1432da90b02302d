"""The API: answers from the tables, and the live view from memory."""
