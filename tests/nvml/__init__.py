"""The stand-ins for the driver's libraries, in C, for the real pynvml and ctypes to load."""
