"""What scripts/bench is made of: servers, histories, measuring, a module for each part, and the document."""
