"""Recurrent attention models: hard visual attention that learns where to look."""
