# A test's own commands of the engine, which are most of its time, begin and end without a search for garbage.
import atexit
import gc

gc.set_threshold(100000, 50, 50)
atexit.register(gc.freeze)
