"""How every Flywheel process talks to Kafka: one client, one partitioner, one way to fail.

Publishing, following a whole topic, working through one as a group, reading a tail. Records are
CloudEvents in binary mode. Importing this package opens no socket.
"""
