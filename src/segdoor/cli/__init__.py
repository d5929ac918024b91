"""Words to functions: parse, call, print; one file a verb."""
