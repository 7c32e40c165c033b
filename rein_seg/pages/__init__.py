"""Pages of HTML that need no network: parts of the comparison and of the report of a run."""
