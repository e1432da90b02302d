"""What a zone's signals say: its assets now, its envelope, its light; told, kept, and given again."""
