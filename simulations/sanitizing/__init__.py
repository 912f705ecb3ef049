"""What is taken out of an answer, by which phrases; pure."""
