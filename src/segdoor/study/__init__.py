"""Many runs: expand a grid, run it, resume it, and compare it with what the paper claims."""
