"""Notes each start of a Python interpreter: one line in the file that COUNT_STARTS_IN names."""

import os

if "COUNT_STARTS_IN" in os.environ:
    with open(os.environ["COUNT_STARTS_IN"], "a") as starts:
        starts.write("start\n")
