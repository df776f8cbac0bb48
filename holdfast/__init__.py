"""Holdfast: highly available Redis on your own cloud machines."""
