"""Many runs: expand a grid, run and resume it, and compare it with the paper's claims."""
