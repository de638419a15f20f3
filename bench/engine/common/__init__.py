"""What all kinds of jobs share: a worker's context, how a training begins, records."""
