"""IoT Edge's own configuration files, read as they are: `config.yaml` of 1.0 and 1.1, `config.toml` of 1.2 and later.

`reader` is the door: bytes in, an `IotEdgeConfig` with every fault and note out. `documents` and `table` read a text
and walk it with lines, `locations` reads URIs, `config_yaml` and `config_toml` know the keys of the two files. Nothing
is opened: whether a file that is named exists is asked by whoever has a disk.

Stricter than IoT Edge in one thing: a key that is not known is refused, where its services pass over it in silence.
"""
