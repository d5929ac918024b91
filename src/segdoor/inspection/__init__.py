"""Looking before anything is done: at a data set, at the machine, at what lies around."""
