"""How fast and how large gpudoctor is: `python -m benchmarks` measures an installed wheel and writes RESULTS.md."""
