"""What questions and answers say of the knowledge: what it lacks, where an article was used."""
