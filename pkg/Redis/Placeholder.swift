// The Redis adapter.
