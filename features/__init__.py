"""What we know about a customer at a date: tables, importers, snapshots, features and labels."""
