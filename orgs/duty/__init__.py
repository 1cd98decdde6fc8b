"""Who is on duty when: pure, plain data in, spans of time out."""
