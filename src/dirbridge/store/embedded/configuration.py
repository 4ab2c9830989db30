"""What the embedded server is told at every start."""

from __future__ import annotations

SETTINGS = """\
# Written by dirbridge at every start; changes here are lost. Put yours into local.conf beside this file.
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0700
cluster_name = 'dirbridge'
max_connections = 100
shared_buffers = {shared_buffers}MB
effective_cache_size = {cache}MB
work_mem = 16MB
maintenance_work_mem = 128MB
random_page_cost = 1.1
# Short statements on few cores: neither compiling them nor spreading them over processes pays.
jit = off
max_parallel_workers_per_gather = 0
# A commit that was answered is on the disk; without fsync it outlives the server, but not the machine.
fsync = {durable}
synchronous_commit = on
full_page_writes = {durable}
wal_compression = on
min_wal_size = 128MB
max_wal_size = 2GB
checkpoint_timeout = 15min
# Rows of links and of what is due change often.
autovacuum_naptime = 15s
autovacuum_vacuum_scale_factor = 0.1
autovacuum_analyze_scale_factor = 0.05
# A worker that was killed holds its locks no longer than this.
client_connection_check_interval = 2s
idle_in_transaction_session_timeout = 15min
# Messages of statements hold values of attributes; they go to the client, never into this log.
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_line_prefix = '%m [%p] '
"""

ACCESS = """\
# The socket's folder belongs to the server's user and is closed to others: who reaches it may come in.
local all all trust
"""
