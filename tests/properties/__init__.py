"""What holds whatever is given, tried on generated values."""
