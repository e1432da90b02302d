"""Requests, offers, orders and their dispatch: the states of a request's life, each step in one transaction."""
